"""Read users' lists as text, rows or trees. Every SpecError names the file, the fault and the way out."""

import codecs
import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from data_specs.errors import SpecError
from tasks import storage

TREES = (".json", ".yaml", ".yml")
SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".parquet", *TREES)


def suffix_of(path: str) -> str:
    return Path(path).suffix.lower()


def is_absent(path: str) -> bool:
    """Whether there is no such file. A file that exists and cannot be read is not absent: `read` reports it."""
    try:
        storage.open_read(path).close()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def read(path: str) -> bytes:
    """Raises SpecError where there is no such file, or nothing in it."""
    try:
        data = storage.read_bytes(path)
    except OSError as error:
        raise SpecError(f"concepts.sources: cannot read {path!r}: {error.strerror or error}") from error
    if data is None:
        raise SpecError(f"concepts.sources: there is no file {path!r}")
    if not data.removeprefix(codecs.BOM_UTF8).strip():
        raise SpecError(f"concepts.sources: {path!r} is empty; it must list at least one name")
    return data


def text(data: bytes, path: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(f"concepts.sources: {path!r} is not UTF-8 (byte {error.start}); save it as UTF-8") from error


def tree(data: bytes, path: str) -> Any:
    """The parsed content of a JSON or YAML file."""
    content = text(data, path)
    try:
        return json.loads(content) if suffix_of(path) == ".json" else YAML(typ="safe", pure=True).load(content)
    except (json.JSONDecodeError, YAMLError, RecursionError) as error:
        kind = suffix_of(path).removeprefix(".").upper()
        raise SpecError(f"concepts.sources: {path!r} is not {kind}: {' '.join(str(error).split())[:300]}") from error


def rows(data: bytes, path: str) -> tuple[list[str], Sequence[Any]]:
    """Column names and rows of a CSV, TSV, JSON Lines or Parquet file; a line of JSON may be a bare name."""
    match suffix_of(path):
        case ".parquet":
            try:
                found = parquet(data, path).read(use_threads=False)
                return found.column_names, found.to_pylist()
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                fault = " ".join(str(error).split())[:300]
                raise SpecError(
                    f"concepts.sources: {path!r} cannot be read: {fault}; write it again as UTF-8"
                ) from error
        case ".jsonl":
            lines = enumerate(text(data, path).split("\n"), 1)
            entries = [_line(number, line, path) for number, line in lines if line.strip()]
            return columns(entries), entries
        case suffix:
            reader = csv.DictReader(io.StringIO(text(data, path)), delimiter="\t" if suffix == ".tsv" else ",")
            try:
                return list(reader.fieldnames or ()), list(reader)
            except csv.Error as error:
                raise SpecError(f"concepts.sources: {path!r}, line {reader.line_num}: {error}") from error


def parquet(data: bytes, path: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(pa.BufferReader(data), pre_buffer=False)
    except pa.ArrowInvalid as error:
        raise SpecError(f"concepts.sources: {path!r} is not a Parquet file: {error}") from error


def columns(entries: Iterable[Any]) -> list[str]:
    """Keys of the entries that are rows, in order of first appearance."""
    return list(dict.fromkeys(str(key) for entry in entries if isinstance(entry, dict) for key in entry))


def word(cell: Any, path: str, due: str = "a name") -> str:
    """A cell as text; None becomes the empty string. Raises SpecError for a list or mapping."""
    if isinstance(cell, bytes):  # what some writers of Parquet make of text
        return text(cell, path)
    if isinstance(cell, dict | list):
        raise SpecError(f"concepts.sources: {path!r} has a {type(cell).__name__} where {due} is due: {str(cell)[:80]}")
    return "" if cell is None else str(cell)


def words(cells: list[Any], path: str) -> tuple[str, ...]:
    """A list of backgrounds, without empty ones."""
    return tuple(stripped for cell in cells if (stripped := word(cell, path, "a background").strip()))


def _line(number: int, line: str, path: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise SpecError(f"concepts.sources: {path!r}, line {number} is not JSON: {error.msg}") from error
