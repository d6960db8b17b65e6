"""Read recipes: a name or YAML file, with overrides, becomes a checked RunSpec. Bad input ends here, before any work."""

import difflib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml.error import YAMLError

from data_specs.errors import SpecError
from data_specs.specs.encoder import OBJECTIVES
from data_specs.specs.run import RunSpec
from flows.runs.typed_settings import setting_from_text, settings_from_yaml
from tasks import storage
from tasks.yaml_files import parse_yaml

RECIPES = Path(__file__).parents[2] / "data_specs" / "recipes"
SUFFIXES = (".yaml", ".yml")
UNLIKE_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def files() -> dict[str, Path]:
    """Recipes that go by a name: those that ship here, and those in the folder `SYNCLR_RECIPES`, which win."""
    folders = [RECIPES, *(storage.local_path(own) for own in [os.environ.get("SYNCLR_RECIPES")] if own)]
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.y*ml")) if path.suffix in SUFFIXES}


def names() -> list[str]:
    return sorted(files())


def header(name: str) -> list[str]:
    """The comment lines that head a recipe: what it is, its command, hardware and models."""
    lines = []
    for line in files()[name].read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.startswith("#"):
            break
        if text := line.lstrip("# ").rstrip():
            lines.append(text)
    return [line for line in lines if not line.startswith("yaml-language-server")]


def resolve_recipe(recipe: str, overrides: Mapping[str, Any] | None = None) -> RunSpec:
    """`recipe` is a name from `names()` or a path; `overrides` are settings by stage, which win. Raises SpecError."""
    return checked(_merged(_extended(_path(recipe), ()), overrides or {}))


def read_overrides(recipe: str, texts: Sequence[str]) -> dict[str, Any]:
    """Settings by stage from `stage.setting=value`, each whole: one share of many brings the others along. Raises SpecError."""
    tree, overrides = _extended(_path(recipe), ()), dict[str, Any]()
    for text in texts:
        stage, *inner = _override(tree, text)
        if inner and isinstance(tree[stage], dict):
            overrides.setdefault(stage, {})[inner[0]] = tree[stage][inner[0]]
        else:
            overrides[stage] = tree[stage]
    return overrides


def format_overrides(overrides: Mapping[str, Any]) -> list[str]:
    """Overrides as the command line takes them, `captions.total=1024`: `read_overrides` reads the same values."""
    words = []
    for stage, part in overrides.items():
        whole = (
            {f"{stage}.{name}": value for name, value in part.items()} if isinstance(part, Mapping) else {stage: part}
        )
        words += [f"{name}={_json_in_yaml(value)}" for name, value in whole.items()]
    return words


def _json_in_yaml(value: Any) -> str:
    """JSON that YAML reads alike: without pairs of surrogates, and with escapes for what YAML takes for a line's end."""
    return UNLIKE_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def checked(tree: dict[str, Any]) -> RunSpec:
    """Raises SpecError for what no recipe can say, and for half of a character, which YAML can write and no file can hold."""
    try:
        spec = RunSpec.model_validate(tree)
        json.dumps(tree, ensure_ascii=False, default=str).encode()
    except ValidationError as error:
        raise SpecError("; ".join(_sentence(fault) for fault in _true_faults(error))) from error
    except UnicodeEncodeError as error:
        place = ascii(error.object[max(0, error.start - 60) : error.end])
        raise SpecError(f"a setting holds half of a character: {place}") from error
    return spec


def _true_faults(error: ValidationError) -> list[Any]:
    """Without those that follow from others: a list all of whose items are wrong is not too short as well."""
    faults = error.errors()
    inner = {fault["loc"][:-1] for fault in faults}
    return [fault for fault in faults if fault["type"] != "too_short" or fault["loc"] not in inner]


def schema() -> dict[str, Any]:
    """JSON Schema of a recipe file: a RunSpec of which every part may be left out, and `extends`."""
    described = RunSpec.model_json_schema()
    described["title"] = "SynCLR recipe"
    described["properties"]["extends"] = {"type": "string", "description": "a recipe's name or path to start from"}
    return described


def _path(recipe: str) -> Path:
    if recipe in (known := files()):
        return known[recipe]
    path = storage.local_path(recipe)
    if _is_file(path):
        return path
    close = difflib.get_close_matches(recipe, names(), 1)
    hint = f"; did you mean {close[0]!r}?" if close else f"; recipes here: {', '.join(names())}"
    raise SpecError(f"there is no recipe or file {recipe!r}{hint}")


def _extended(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path in seen:
        raise SpecError(f"recipe {path} extends itself by way of {' -> '.join(map(str, seen))}")
    tree = _read(path)
    parent = tree.pop("extends", None)
    if parent is None:
        return tree
    beside = path.parent / str(parent)
    return _merged(_extended(beside if _is_file(beside) else _path(str(parent)), (*seen, path)), tree)


def _is_file(path: Path) -> bool:
    """A name that no file can have, being too long, is none; nor is one in a folder that nobody may read."""
    try:
        return path.is_file()
    except OSError:
        return False


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = parse_yaml(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"recipe {path} is not YAML: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise SpecError(f"recipe {path} cannot be read: {error.strerror}") from error
    if not isinstance(tree, dict):
        raise SpecError(f"recipe {path} must be a mapping of stages; it is {type(tree).__name__}")
    settings: dict[str, Any] = settings_from_yaml(tree)
    return settings


def _merged(parent: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    """Stages merge setting by setting; a setting is replaced whole, so that shares never mix with those of the parent.

    An objective brings all of its set along: what the parent says of those settings was meant for another.
    """
    both = dict(parent)
    for stage, value in child.items():
        known = both.get(stage)
        if stage == "encoder" and isinstance(known, dict) and isinstance(value, dict):
            brought = OBJECTIVES.get(str(value.get("objective")), {})
            known = {setting: old for setting, old in known.items() if setting not in brought}
        both[stage] = known | value if isinstance(known, dict) and isinstance(value, dict) else value
    return both


def _override(tree: dict[str, Any], override: str) -> list[str]:
    """Turn one setting in the tree; return where it stands."""
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise SpecError(f"--set {override!r} is not of the form stage.setting=value")
    try:
        value = setting_from_text(keys, text)
    except YAMLError as error:
        raise SpecError(f"--set {override!r}: the value is not YAML: {' '.join(str(error).split())[:200]}") from error
    branch = tree
    for key in keys[:-1]:
        branch = branch.setdefault(key, {})
        if not isinstance(branch, dict):
            raise SpecError(f"--set {override!r}: {key!r} holds a value, not further settings")
    branch[keys[-1]] = value
    return keys


def _sentence(fault: Any) -> str:
    where = ".".join(str(part) for part in fault["loc"]) or "recipe"
    if fault["type"] == "extra_forbidden":
        *outer, key = (str(part) for part in fault["loc"])
        close = difflib.get_close_matches(key, _settings(outer), 1)
        hint = f"did you mean {'.'.join([*outer, close[0]])!r}?" if close else "see `synclr schema`"
        return f"{where}: unknown key; {hint}"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "string_type" and isinstance(fault.get("input"), int | float):
        message += ": put it in quotes"
    given = fault.get("input")
    secret = isinstance(given, str) and "://" in given and "@" in given  # a password in an address is not repeated
    shown = (
        "" if secret or isinstance(given, dict | list | BaseModel) else f" (given: {json.dumps(given, default=str)})"
    )
    return f"{where}: {message}{shown}"


def _settings(outer: list[str]) -> list[str]:
    model: type[BaseModel] = RunSpec
    for key in outer:
        annotation = model.model_fields[key].annotation if key in model.model_fields else None
        inner = [each for each in (annotation, *get_args(annotation)) if isinstance(each, type)]
        inner = [each for each in inner if issubclass(each, BaseModel)]
        if not inner:
            return []
        model = inner[0]
    return list(model.model_fields)
