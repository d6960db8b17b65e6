"""Read users' lists as text, rows or trees. Every SpecError names the file, the fault and the way out.

Numbers and truth values stay as they were written: a list of names holds names, and `007` or `true` may be one.
"""

import codecs
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from ruamel.yaml.error import YAMLError

from data_specs.errors import SpecError
from data_specs.json_text import parse_json
from tasks import storage
from tasks.concepts import delimited_files
from tasks.yaml_files import parse_yaml

TREES = (".json", ".yaml", ".yml")
SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".parquet", *TREES)
Entries = Sequence[tuple[int, Any]]
"""Each with its line in a text file, else its number in the list, counted from 1."""


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


def lines(data: bytes, path: str) -> Entries:
    """Lines of a text file end where they end in every other format: at a line feed, and nowhere within a name."""
    return [(number, line.rstrip("\n")) for number, line in enumerate(io.StringIO(text(data, path), newline=None), 1)]


def tree(data: bytes, path: str) -> Any:
    """The parsed content of a JSON or YAML file."""
    content = text(data, path)
    try:
        return parse_texts(content) if suffix_of(path) == ".json" else parse_yaml(content)
    except (ValueError, YAMLError, RecursionError) as error:
        kind = suffix_of(path).removeprefix(".").upper()
        raise SpecError(f"concepts.sources: {path!r} is not {kind}: {' '.join(str(error).split())[:300]}") from error


def parse_texts(content: str) -> Any:
    """JSON with numbers as texts, and None for NaN, which Python writes for a missing cell. Raises ValueError."""
    return parse_json(
        content,
        parse_int=str,
        parse_float=str,
        parse_constant=lambda constant: None if constant == "NaN" else constant,
        object_pairs_hook=_distinct,
    )


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a key that stands twice Python would keep the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice in one object")
    return found


def rows(data: bytes, path: str) -> tuple[list[str], Entries]:
    """Column names and rows of a CSV, TSV, JSON Lines or Parquet file; a line of JSON may be a bare name."""
    match suffix_of(path):
        case ".parquet":
            try:
                found = parquet(data, path).read(use_threads=False)
                return found.column_names, list(enumerate(found.to_pylist(), 1))
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                fault = " ".join(str(error).split())[:300]
                raise SpecError(
                    f"concepts.sources: {path!r} cannot be read: {fault}; write it again as UTF-8"
                ) from error
        case ".jsonl":
            numbered = enumerate(text(data, path).split("\n"), 1)
            entries = [(number, _line(number, line, path)) for number, line in numbered if line.strip()]
            return columns(entry for _, entry in entries), entries
        case suffix:
            return delimited_files.read_rows(text(data, path), path, delimited_files.DELIMITERS[suffix])


def parquet(data: bytes, path: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(pa.BufferReader(data), pre_buffer=False)
    except pa.ArrowInvalid as error:
        raise SpecError(f"concepts.sources: {path!r} is not a Parquet file: {error}") from error


def columns(entries: Iterable[Any]) -> list[str]:
    """Keys of the entries that are rows, in order of first appearance."""
    return list(dict.fromkeys(str(key) for entry in entries if isinstance(entry, dict) for key in entry))


def place(path: str, number: int) -> str:
    """Where an entry stands, for a message."""
    word = {".parquet": "row"}.get(suffix_of(path), "entry" if suffix_of(path) in TREES else "line")
    return f"{path!r}, {word} {number}"


def word(cell: Any, where: str, due: str = "a name") -> str:
    """A cell as text; None and a float that is no number become the empty string. Raises SpecError for a list or mapping."""
    if isinstance(cell, bytes):  # what some writers of Parquet make of text
        try:
            return cell.decode("utf-8")
        except UnicodeDecodeError as error:
            raise SpecError(f"concepts.sources: {where} is not UTF-8: {cell[:40]!r}; save it as UTF-8") from error
    if isinstance(cell, dict | list | tuple | set):
        raise SpecError(f"concepts.sources: {where} has a {type(cell).__name__} where {due} is due: {str(cell)[:80]}")
    if isinstance(cell, bool):
        return str(cell).lower()  # as JSON, YAML and Parquet's tools write it
    written = "" if cell is None or cell != cell else str(cell)
    if not written.isascii() and any("\ud800" <= character <= "\udfff" for character in written):
        raise SpecError(f"concepts.sources: {where} holds half a character, {written[:40]!a}; write it again as UTF-8")
    return written


def words(cells: list[Any], where: str) -> tuple[str, ...]:
    """A list of backgrounds, without empty ones."""
    return tuple(stripped for cell in cells if (stripped := word(cell, where, "a background").strip()))


def _line(number: int, line: str, path: str) -> Any:
    try:
        return parse_texts(line)
    except ValueError as error:
        fault = error.msg if isinstance(error, json.JSONDecodeError) else error
        raise SpecError(f"concepts.sources: {path!r}, line {number} is not JSON: {fault}") from error
