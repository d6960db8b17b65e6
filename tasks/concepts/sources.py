"""A source of the recipe enters; the names it lists leave, each with kind, category and backgrounds."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_specs.concept import Kind
from data_specs.errors import SpecError
from data_specs.run import ConceptsSpec, FileSource, Source, TinyWorldSource
from tasks import storage

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
            return list(_file(source))


def fingerprint(source: Source) -> str:
    """sha256 of what the source reads, so that an edited list is another lineage."""
    return hashlib.sha256(_bytes(str(WORLD) if isinstance(source, TinyWorldSource) else source.path)).hexdigest()


def fingerprints(spec: ConceptsSpec) -> dict[str, str]:
    return {f"{place} {_label(source)}": fingerprint(source) for place, source in enumerate(spec.sources)}


def _label(source: Source) -> str:
    return "tiny_world" if isinstance(source, TinyWorldSource) else source.path.rsplit("/", 1)[-1]


def _tiny_world() -> Iterator[Name]:
    world = json.loads(_bytes(str(WORLD)))
    for concept in world["concepts"]:
        yield Name(concept["name"], "object", concept["category"], "tiny_world", tuple(concept["backgrounds"]))
    for place in world["places"]:
        yield Name(place, "place", "place", "tiny_world")
    for texture in world["textures"]:
        yield Name(texture, "texture", "texture", "tiny_world")


def _file(source: FileSource) -> Iterator[Name]:
    data = _bytes(source.path)
    if not data.strip():
        raise SpecError(f"concepts.sources: {source.path!r} is empty; it must list at least one name")
    suffix = Path(source.path).suffix.lower()
    if suffix == ".txt":
        rows: Iterable[dict[str, Any]] = ({source.column: line} for line in _text(data, source.path).splitlines())
    elif suffix == ".csv":
        reader = csv.DictReader(io.StringIO(_text(data, source.path)))
        _require_columns(source, list(reader.fieldnames or ()))
        rows = reader
    elif suffix == ".parquet":
        try:
            table = pq.read_table(pa.BufferReader(data), use_threads=False)
        except pa.ArrowInvalid as error:
            raise SpecError(f"concepts.sources: {source.path!r} is not a Parquet file: {error}") from error
        _require_columns(source, table.column_names)
        rows = table.to_pylist()
    else:
        raise SpecError(f"concepts.sources: {source.path!r} ends in {suffix!r}; use .txt, .csv or .parquet")
    for row in rows:
        yield Name(
            str(row.get(source.column) or ""),
            source.kind,
            source.category,
            _label(source),
            _backgrounds(row.get(source.backgrounds_column) if source.backgrounds_column else None),
        )


def _backgrounds(cell: Any) -> tuple[str, ...]:
    parts = cell if isinstance(cell, list) else str(cell or "").split("|")
    return tuple(stripped for part in parts if (stripped := str(part).strip()))


def _require_columns(source: FileSource, found: list[str]) -> None:
    for column in filter(None, (source.column, source.backgrounds_column)):
        if column not in found:
            raise SpecError(f"concepts.sources: {source.path!r} has no column {column!r}; it has {', '.join(found)}")


def _text(data: bytes, path: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(f"concepts.sources: {path!r} is not UTF-8 (byte {error.start}); save it as UTF-8") from error


def _bytes(path: str) -> bytes:
    try:
        data = storage.read_bytes(path)
    except OSError as error:
        raise SpecError(f"concepts.sources: cannot read {path!r}: {error.strerror or error}") from error
    if data is None:
        raise SpecError(f"concepts.sources: there is no file {path!r}")
    return data
