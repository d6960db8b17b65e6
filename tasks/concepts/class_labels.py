"""Read the class names of a ClassLabel feature from the description of a Hugging Face data set. Downloads nothing."""

import re
from collections.abc import Iterator
from typing import Any

from data_specs.errors import SpecError
from data_specs.specs.concepts import HuggingFaceSource
from tasks import storage
from tasks.concepts import list_files

DESCRIPTIONS = ("dataset_info.json", "dataset_infos.json", "README.md", "train/dataset_info.json")
"""In a folder the first of these that exists is read: from `save_to_disk`, from the hub's old form, from its present form."""
_LINE_END = re.compile(r"\r\n|\r|\n")
Path = tuple[str, ...]


def description(path: str) -> str:
    """The file to read: `path` itself, or the description inside it if it is a folder. Raises SpecError."""
    if list_files.suffix_of(path) in (".json", ".md", ".parquet"):
        return path
    for name in DESCRIPTIONS:
        if storage.read_bytes(f"{path.rstrip('/')}/{name}") is not None:
            return f"{path.rstrip('/')}/{name}"
    raise SpecError(f"concepts.sources: {path!r} holds none of {', '.join(DESCRIPTIONS)}; name the file itself")


def class_names(source: HuggingFaceSource) -> list[str]:
    """Raises SpecError where there is no ClassLabel feature, or several with different names and none is chosen."""
    path = description(source.path)
    try:
        everything = list(_features(_tree(path), (), path))
    except RecursionError as error:
        raise SpecError(
            f"concepts.sources: {path!r} is nested too deeply to be the description of a data set"
        ) from error
    chosen = [
        (where, names)
        for where, names in everything
        if all(part in where for part in (source.feature, source.config) if part is not None)
    ]
    if len({tuple(names) for _, names in chosen}) == 1:
        return chosen[0][1]
    listed = "; ".join(sorted({" / ".join(where) for where, _ in everything})) or "none"
    requested = " / ".join(filter(None, (source.config, source.feature)))
    wrong = f"none is {requested!r}" if requested and not chosen else "choose one with `feature` or `config`"
    raise SpecError(
        f"concepts.sources: ClassLabel features of {path!r}: {listed}{'; ' + wrong if everything else ''}"[:1000]
    )


def _tree(path: str) -> Any:
    data = list_files.read(path)
    match list_files.suffix_of(path):
        case ".md":
            return list_files.tree(_front_matter(list_files.text(data, path), path).encode(), f"{path}.yaml")
        case ".parquet":
            metadata = list_files.parquet(data, path).schema_arrow.metadata or {}
            try:
                return list_files.parse_texts(list_files.text(metadata.get(b"huggingface", b"{}"), path))
            except ValueError as error:
                raise SpecError(
                    f"concepts.sources: {path!r} describes its features in what is no JSON: {error}"
                ) from error
        case _:
            return list_files.tree(data, path)


def _front_matter(text: str, path: str) -> str:
    """The YAML with which a README opens, whatever ends its lines. Raises SpecError."""
    lines = _LINE_END.split(text.lstrip())
    marks = [number for number, line in enumerate(lines) if line.rstrip() == "---"]
    if marks[:1] != [0]:
        raise SpecError(f"concepts.sources: {path!r} does not open with a block of YAML between two lines `---`")
    if len(marks) < 2:
        raise SpecError(f"concepts.sources: {path!r} opens a block of YAML by a line `---` that no second one closes")
    return "\n".join(lines[1 : marks[1]])


def _features(node: Any, where: Path, path: str) -> Iterator[tuple[Path, list[str]]]:
    """Every ClassLabel below a node, with the names of configuration and features that lead to it."""
    if isinstance(node, list):
        for part in node:
            yield from _features(part, where, path)
    elif isinstance(node, dict):
        if "features" in node and isinstance(node.get("config_name"), str):
            where = (*where, node["config_name"])
        kind = node.get("dtype")
        label = kind.get("class_label") if isinstance(kind, dict) else None
        if node.get("_type") == "ClassLabel" and "names" in node:
            yield where, _listed(node["names"], path)
        elif isinstance(node.get("name"), str) and isinstance(label, dict):
            yield (*where, node["name"]), _listed(label.get("names"), path)
        else:
            own = (*where, node["name"]) if isinstance(node.get("name"), str) else where
            for key, part in node.items():
                step = key in ("features", "feature", "info", "dataset_info", "list", "sequence", "struct", "dtype")
                yield from _features(part, own if step else (*own, str(key)), path)


def _listed(names: Any, path: str) -> list[str]:
    """A list, or a mapping from number to name. Raises SpecError for anything else."""
    if isinstance(names, dict) and all(str(number).isdecimal() for number in names):
        names = [name for _, name in sorted(names.items(), key=lambda item: int(item[0]))]
    if not isinstance(names, list | None):
        raise SpecError(
            f"concepts.sources: {path!r}: class names must be a list, or numbers with names; it has {str(names)[:80]}"
        )
    return [list_files.word(name, repr(path), "a class name") for name in names or ()]
