"""Read the names that a source of the recipe lists, each with kind, category and backgrounds."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_specs.concept import KINDS, Kind
from data_specs.errors import SpecError
from data_specs.json_text import parse_json
from data_specs.specs.concepts import (
    ConceptsSpec,
    FileSource,
    HuggingFaceSource,
    ListedSource,
    Source,
    TinyWorldSource,
    WordNetSource,
)
from tasks.concepts import class_labels, list_files, wordnet
from tasks.concepts.background_files import Backgrounds
from tasks.concepts.delimited_files import DELIMITERS, require_one_line

WORLD = Path(__file__).parents[2] / "data_specs" / "tiny_world" / "world.json"


@dataclass(frozen=True, slots=True)
class Name:
    """One entry of one source, before names are cleaned and merged."""

    name: str
    kind: Kind
    category: str
    source: str
    backgrounds: tuple[str, ...] = ()


def read_names(source: Source) -> list[Name]:
    """Raises SpecError for a file that is not there, is not in its format, or lacks a column."""
    match source:
        case TinyWorldSource():
            return list(_tiny_world())
        case FileSource():
            names = _file(source)
        case HuggingFaceSource():
            names = (_name(source, name) for name in class_labels.class_names(source))
        case WordNetSource():
            names = (_name(source, word) for word in wordnet.words(source))
    return list(_finished(source, names))


def require_there(spec: ConceptsSpec) -> None:
    """Raises one SpecError that names every file of the recipe that does not exist."""
    files = dict.fromkeys(path for source in spec.sources for path in _files(source))
    if absent := [path for path in files if list_files.is_absent(path)]:
        here = "" if all(Path(path).is_absolute() or "://" in path for path in absent) else f", seen from {Path.cwd()}"
        raise SpecError(
            f"concepts.sources: there is no file {', '.join(map(repr, absent))}{here}; put it there or name another path "
            "(docs/concepts.md says where SynCLR's lists come from)"
        )


def fingerprint(source: Source) -> str:
    """sha256 of the files that the source reads, so that an edited list gets another lineage."""
    digest = hashlib.sha256()
    for path in _files(source):
        digest.update(list_files.read(path))
    return digest.hexdigest()


def fingerprints(spec: ConceptsSpec) -> dict[str, str]:
    """The fingerprint of each source, by its place in the recipe and its label."""
    return {f"{place} {_label(source)}": fingerprint(source) for place, source in enumerate(spec.sources)}


def _files(source: Source) -> list[str]:
    match source:
        case TinyWorldSource():
            return [str(WORLD)]
        case HuggingFaceSource():
            files = [class_labels.description(source.path)]
        case WordNetSource():
            files = wordnet.files(source)
        case FileSource():
            files = [source.path]
    return [*files, *([source.backgrounds] if source.backgrounds else [])]


def _label(source: TinyWorldSource | ListedSource) -> str:
    """`places.txt`, or `labels.json:food101` for one list of several."""
    if isinstance(source, TinyWorldSource):
        return "tiny_world"
    within = source.within if isinstance(source, FileSource) else None
    return source.path.rstrip("/").rsplit("/", 1)[-1] + (f":{within}" if within else "")


def _tiny_world() -> Iterator[Name]:
    world = parse_json(list_files.read(str(WORLD)))
    for concept in world["concepts"]:
        yield Name(concept["name"], "object", concept["category"], "tiny_world", tuple(concept["backgrounds"]))
    for place in world["places"]:
        yield Name(place, "place", "place", "tiny_world")
    for texture in world["textures"]:
        yield Name(texture, "texture", "texture", "tiny_world")


def _finished(source: ListedSource, names: Iterator[Name]) -> Iterator[Name]:
    """Apply the settings that all lists share: `split_at`, `append`, and backgrounds from a second file."""
    shared = Backgrounds(source) if source.backgrounds else None
    for entry in names:
        name = entry.name.split(source.split_at)[0] if source.split_at else entry.name
        found = shared.of(name, entry.kind) if shared else entry.backgrounds
        if source.lower_backgrounds:
            found = tuple(background.lower() for background in found)
        # An empty name stays empty, so that it is refused as `empty`.
        whole = name.strip() + source.append if name.strip() else ""
        yield Name(whole, entry.kind, entry.category, entry.source, found)


def _name(source: ListedSource, name: str, backgrounds: tuple[str, ...] = ()) -> Name:
    return Name(name, source.kind, source.category, _label(source), backgrounds)


def _file(source: FileSource) -> Iterator[Name]:
    data, suffix = list_files.read(source.path), list_files.suffix_of(source.path)
    if suffix not in list_files.SUFFIXES:
        raise SpecError(f"concepts.sources: {source.path!r} ends in {suffix!r}; use {', '.join(list_files.SUFFIXES)}")
    if (source.within or source.keys_are_names) and suffix not in list_files.TREES:
        raise SpecError(f"concepts.sources: {source.path!r}: within and keys_are_names are for JSON and YAML files")
    columns: list[str] = []
    rows: list_files.Entries
    if suffix == ".txt":
        rows = list_files.lines(data, source.path)
    elif suffix in list_files.TREES:
        entries = _entries(source, list_files.tree(data, source.path))
        columns, rows = list_files.columns(entries), list(enumerate(entries, 1))
    else:
        columns, rows = list_files.rows(data, source.path)
    named = list(filter(None, (source.column, source.backgrounds_column, source.kind_column, source.category_column)))
    if columns or suffix in (*DELIMITERS, ".parquet"):
        _require_columns(source.path, columns, named)
    if suffix in DELIMITERS:
        require_one_line(rows, named, source.path)
    for number, row in rows:
        yield _row(source, row, list_files.place(source.path, number))


def _require_columns(path: str, columns: list[str], named: list[str]) -> None:
    """Raises SpecError for a column that is not there, or there twice."""
    for column in named:
        if column not in columns:
            raise SpecError(f"concepts.sources: {path!r} has no column {column!r}; it has {', '.join(columns)}")
        if columns.count(column) > 1:
            cells = [str(number) for number, each in enumerate(columns, 1) if each == column]
            raise SpecError(
                f"concepts.sources: {path!r} has the column {column!r} {len(cells)} times, at {', '.join(cells)}; "
                "one of them would be lost: rename the others"
            )


def _entries(source: FileSource, tree: Any) -> list[Any]:
    """The entries of a JSON or YAML file: the whole list, the list under one key, or keys with their backgrounds."""
    if source.within is not None:
        if not isinstance(tree, dict) or source.within not in tree:
            keys = ", ".join(map(str, list(tree)[:30])) if isinstance(tree, dict) else type(tree).__name__
            raise SpecError(f"concepts.sources: {source.path!r} has no key {source.within!r}; it has {keys}")
        tree = tree[source.within]
    if source.keys_are_names and isinstance(tree, dict):
        return list(tree.items())
    if source.keys_are_names or not isinstance(tree, list):
        form = "a mapping from names to backgrounds" if source.keys_are_names else "a list"
        raise SpecError(
            f"concepts.sources: {source.path!r} holds no {form} but a {type(tree).__name__}; "
            "say `within: KEY` for one list of many, `keys_are_names: true` for {name: [backgrounds]}"
        )
    return tree


def _row(source: FileSource, row: Any, where: str) -> Name:
    if source.keys_are_names:
        return _name(source, list_files.word(row[0], where), _backgrounds(row[1], where))
    if not isinstance(row, dict):
        return _name(source, list_files.word(row, where))
    kind, category = source.kind, source.category
    if source.kind_column:
        kind = _kind(list_files.word(row.get(source.kind_column), where, "a kind").strip(), source.kind_column, where)
    if source.category_column:
        category = list_files.word(row.get(source.category_column), where, "a category").strip() or category
    found = _backgrounds(row.get(source.backgrounds_column), where) if source.backgrounds_column else ()
    return Name(list_files.word(row.get(source.column), where), kind, category, _label(source), found)


def _kind(given: str, column: str, where: str) -> Kind:
    for kind in KINDS:
        if kind == given:
            return kind
    raise SpecError(f"concepts.sources: {where}: kind {given!r} is none of {', '.join(KINDS)} (column {column!r})")


def _backgrounds(cell: Any, where: str) -> tuple[str, ...]:
    if isinstance(cell, list):
        return list_files.words(cell, where)
    written = list_files.word(cell, where, "a list of backgrounds").strip()
    if written.startswith("[") and written.endswith("]"):  # what pandas makes of a list in a CSV
        raise SpecError(
            f"concepts.sources: {where} has a list written out as text, {written[:60]!r}; separate backgrounds by |"
        )
    return list_files.words(list(written.split("|")), where)
