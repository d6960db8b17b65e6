"""A recipe's name or file, and knobs to turn, enter; a checked RunSpec leaves. Bad input ends here, before any work."""

import difflib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from data_specs.errors import SpecError
from data_specs.run import OBJECTIVES, RunSpec

RECIPES = Path(__file__).parents[2] / "data_specs" / "recipes"


def files() -> dict[str, Path]:
    """Recipes that go by a name: those that ship here, and those in the folder `SYNCLR_RECIPES`, which win."""
    folders = [RECIPES, *(Path(own) for own in [os.environ.get("SYNCLR_RECIPES")] if own)]
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def names() -> list[str]:
    return sorted(files())


def header(name: str) -> list[str]:
    """The comment lines that head a recipe: what it is, its command, hardware and models."""
    lines = []
    for line in files()[name].read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if text := line.lstrip("# ").rstrip():
            lines.append(text)
    return [line for line in lines if not line.startswith("yaml-language-server")]


def resolve(recipe: str, turned: Mapping[str, Any] | None = None) -> RunSpec:
    """`recipe` is a name from `names()` or a path; `turned` are knobs by room, which win. Raises SpecError."""
    return checked(_merged(_extended(_path(recipe), ()), turned or {}))


def knobs(recipe: str, overrides: Sequence[str]) -> dict[str, Any]:
    """The knobs that `room.knob=value` turns, each whole: one share of many brings the others along. Raises SpecError."""
    tree, turned = _extended(_path(recipe), ()), dict[str, Any]()
    for override in overrides:
        room, *inner = _override(tree, override)
        if inner and isinstance(tree[room], dict):
            turned.setdefault(room, {})[inner[0]] = tree[room][inner[0]]
        else:
            turned[room] = tree[room]
    return turned


def spoken(turned: Mapping[str, Any]) -> list[str]:
    """Knobs as the command line takes them: `captions.total=1024`."""
    words = []
    for room, part in turned.items():
        knobs_of_room = (
            {f"{room}.{knob}": value for knob, value in part.items()} if isinstance(part, Mapping) else {room: part}
        )
        words += [f"{knob}={json.dumps(value)}" for knob, value in knobs_of_room.items()]
    return words


def checked(tree: dict[str, Any]) -> RunSpec:
    try:
        return RunSpec.model_validate(tree)
    except ValidationError as error:
        raise SpecError("; ".join(_sentence(fault) for fault in error.errors())) from error


def schema() -> dict[str, Any]:
    """JSON Schema of a recipe file: a RunSpec of which every part may be left out, and `extends`."""
    described = RunSpec.model_json_schema()
    described["title"] = "SynCLR recipe"
    described["properties"]["extends"] = {"type": "string", "description": "a recipe's name or path to start from"}
    return described


def _path(recipe: str) -> Path:
    if recipe in (known := files()):
        return known[recipe]
    path = Path(recipe)
    if path.is_file():
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
    return _merged(_extended(beside if beside.is_file() else _path(str(parent)), (*seen, path)), tree)


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"recipe {path} is not YAML: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise SpecError(f"recipe {path} cannot be read: {error.strerror}") from error
    if not isinstance(tree, dict):
        raise SpecError(f"recipe {path} must be a mapping of rooms; it is {type(tree).__name__}")
    return tree


def _merged(parent: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    """Rooms merge knob by knob; a knob is replaced whole, so that shares never mix with those of the parent.

    An objective brings all of its set along: what the parent says of those knobs was meant for another.
    """
    both = dict(parent)
    for room, value in child.items():
        known = both.get(room)
        if room == "encoder" and isinstance(known, dict) and isinstance(value, dict):
            known = {
                knob: said
                for knob, said in known.items()
                if knob not in OBJECTIVES.get(str(value.get("objective")), {})
            }
        both[room] = known | value if isinstance(known, dict) and isinstance(value, dict) else value
    return both


def _override(tree: dict[str, Any], override: str) -> list[str]:
    """Turn one knob in the tree; return where it stands."""
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise SpecError(f"--set {override!r} is not of the form room.knob=value")
    try:
        value = YAML(typ="safe", pure=True).load(text) if text else None
    except YAMLError as error:
        raise SpecError(f"--set {override!r}: the value is not YAML") from error
    branch = tree
    for key in keys[:-1]:
        branch = branch.setdefault(key, {})
        if not isinstance(branch, dict):
            raise SpecError(f"--set {override!r}: {key!r} holds a value, not further knobs")
    branch[keys[-1]] = value
    return keys


def _sentence(fault: Any) -> str:
    where = ".".join(str(part) for part in fault["loc"]) or "recipe"
    if fault["type"] == "extra_forbidden":
        *outer, key = (str(part) for part in fault["loc"])
        close = difflib.get_close_matches(key, _knobs(outer), 1)
        hint = f"did you mean {'.'.join([*outer, close[0]])!r}?" if close else "see `synclr schema`"
        return f"{where}: unknown key; {hint}"
    said = fault["msg"].removeprefix("Value error, ")
    given = fault.get("input")
    secret = isinstance(given, str) and "://" in given and "@" in given  # a password in an address is not repeated
    shown = (
        "" if secret or isinstance(given, dict | list | BaseModel) else f" (given: {json.dumps(given, default=str)})"
    )
    return f"{where}: {said}{shown}"


def _knobs(outer: list[str]) -> list[str]:
    model: type[BaseModel] = RunSpec
    for key in outer:
        annotation = model.model_fields[key].annotation if key in model.model_fields else None
        inner = [each for each in (annotation, *get_args(annotation)) if isinstance(each, type)]
        inner = [each for each in inner if issubclass(each, BaseModel)]
        if not inner:
            return []
        model = inner[0]
    return list(model.model_fields)
