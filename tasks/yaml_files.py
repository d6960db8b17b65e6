"""Read a YAML file that a recipe names, or refuse it in one line."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from data_specs.errors import SpecError


def read_yaml(path: Path, setting: str) -> Any:
    """`setting` is the recipe's, for the message. Raises SpecError; FileNotFoundError for the caller, who knows what there is."""
    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (YAMLError, UnicodeDecodeError, OSError) as error:
        raise SpecError(f"{setting}: {path} is no readable YAML: {' '.join(str(error).split())}") from error
