"""Read the YAML of users: what it holds, or one line about why not. Unquoted scalars keep their text."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode

from data_specs.errors import SpecError

READ_AS = ("int", "float", "bool", "timestamp")
"""What YAML makes of `007`, `1.10`, `true` and `2026-05-01` where nobody quoted them."""


class YamlScalar(str):
    """A scalar that YAML reads as a number, truth value or date: a text as it was written, and `value`, what YAML reads."""

    value: Any

    def __new__(cls, text: str, value: Any) -> "YamlScalar":
        scalar = super().__new__(cls, text)
        scalar.value = value
        return scalar


class _Constructor(SafeConstructor):
    """Builds what the safe one builds, with YamlScalars."""


def _scalar(kind: str) -> Any:
    read = getattr(SafeConstructor, f"construct_yaml_{kind}")

    def construct(constructor: _Constructor, node: ScalarNode) -> YamlScalar:
        text = constructor.construct_scalar(node)
        try:
            value = read(constructor, node)
        except (ArithmeticError, LookupError, ValueError):  # `2026-13-45` looks like a date, and is none
            value = text
        return YamlScalar(text, value)

    return construct


for _kind in READ_AS:
    _Constructor.add_constructor(f"tag:yaml.org,2002:{_kind}", _scalar(_kind))


def parse_yaml(text: str) -> Any:
    """Raises YAMLError for whatever cannot be read, and for nothing else."""
    reader = YAML(typ="safe", pure=True)
    reader.Constructor = _Constructor
    try:
        return reader.load(text)
    except YAMLError:
        raise
    except Exception as error:  # depths, odd tags, double keys of an !!omap: the library trips over each in its own way
        raise YAMLError(f"it cannot be read ({type(error).__name__}: {error})") from error


def read_yaml(path: Path, setting: str) -> Any:
    """`setting` is the recipe's, for the message. Raises SpecError; FileNotFoundError for the caller, who knows what there is."""
    try:
        return parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (YAMLError, UnicodeDecodeError, OSError) as error:
        raise SpecError(f"{setting}: {path} is no readable YAML: {' '.join(str(error).split())}") from error
