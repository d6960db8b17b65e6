"""Decide by a setting's type how its text is read: what YAML takes for a number, date or comment may be a text."""

import re
from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from data_specs.json_text import parse_json
from data_specs.specs.run import RunSpec
from tasks.yaml_files import YamlScalar, parse_yaml

Types = tuple[Any, ...]
"""What a value may be, its unions and annotations taken apart; empty: of a setting that there is not."""
NULLS = ("null", "Null", "NULL", "~", "")
IN_SINGLE_QUOTES = re.compile(r"'(?:[^']|'')*'")


def settings_from_yaml(tree: Any) -> Any:
    """A parsed recipe with every scalar as its setting's type wants it: text as written, or what YAML reads."""
    return _typed(tree, (RunSpec,), {})


def setting_from_text(path: Sequence[str], text: str) -> Any:
    """The value that follows `--set stage.setting=`. Raises YAMLError.

    A text is taken as it stands, `blurry, #1 low` too, or from the quotes around all of it. What is none is YAML.
    """
    types: Types = (RunSpec,)
    for key in path:
        types = _below(types, key)
    text = text.strip()
    if not types or not all(each is NoneType or _is_text(each) for each in types):
        return _typed(parse_yaml(text), types, {}) if text else None
    if NoneType in types and text in NULLS:
        return None
    return _unquoted(text)


def _unquoted(text: str) -> str:
    if IN_SINGLE_QUOTES.fullmatch(text):
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return str(parse_json(text))
        except ValueError:  # `"big" and "small"`: quotes that are part of the text
            pass
    return text


def _typed(value: Any, types: Types, made: dict[tuple[int, Types], Any]) -> Any:
    """`made` keeps what was made of mappings and lists: anchors of YAML share them, and may even lead back to themselves."""
    if isinstance(value, YamlScalar):
        return str(value) if _takes_text(types, value) else value.value
    if not isinstance(value, dict | list):
        return value
    if (id(value), types) not in made:
        new: Any = {} if isinstance(value, dict) else []
        made[id(value), types] = new
        if isinstance(value, dict):
            new |= {_key(key, types): _typed(each, _below(types, key), made) for key, each in value.items()}
        else:
            new += [_typed(each, _items(types), made) for each in value]
    return made[id(value), types]


def _key(key: Any, types: Types) -> Any:
    """Names of settings are texts; keys of shares are what their type says, such as a category called `2012`."""
    if not isinstance(key, YamlScalar):
        return key
    keys = tuple(each for mapping in types if _is_a(mapping, dict) for each in _alternatives(get_args(mapping)[0]))
    return str(key) if _takes_text(keys, key) else key.value


def _takes_text(types: Types, scalar: YamlScalar) -> bool:
    """Where both a text and a number would do (`scheduler_options`), YAML decides; what is unknown stays as written.

    So does a truth value where none is due: as a number, `captions.total=yes` would be 1.
    """
    if isinstance(scalar.value, bool) and bool not in types and Any not in types:
        return True
    return not types or (any(map(_is_text, types)) and type(scalar.value) not in types)


def _is_text(alternative: Any) -> bool:
    choices = get_args(alternative) if get_origin(alternative) is Literal else ()
    return alternative is str or (bool(choices) and all(isinstance(choice, str) for choice in choices))


def _below(types: Types, key: Any) -> Types:
    """What may stand under a key of a spec or mapping; of specs that differ by `use`, whatever any of them has there."""
    found: list[Any] = []
    for each in types:
        if isinstance(each, type) and issubclass(each, BaseModel) and key in each.model_fields:
            found += _alternatives(each.model_fields[key].annotation)
        elif _is_a(each, dict):
            found += _alternatives(get_args(each)[1])
    return tuple(dict.fromkeys(found))


def _items(types: Types) -> Types:
    lists = [each for each in types if _is_a(each, tuple, list)]
    found = [one for each in lists for part in get_args(each) if part is not Ellipsis for one in _alternatives(part)]
    return tuple(dict.fromkeys(found))


def _is_a(annotation: Any, *containers: type) -> bool:
    origin: Any = get_origin(annotation)
    return origin in containers


def _alternatives(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _alternatives(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [one for part in get_args(annotation) for one in _alternatives(part)]
    return [annotation]
