"""Read CSV and TSV row by row, and refuse what would shift, swallow or drop a cell."""

import csv
import io
from collections.abc import Iterable, Mapping

from data_specs.errors import SpecError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
CALLED = {",": "a comma", "\t": "a tab"}
Row = tuple[int, dict[str, str]]
"""The line at which a row begins, counted from 1, and its cells by column."""


def read_rows(content: str, path: str, delimiter: str) -> tuple[list[str], list[Row]]:
    """Column names and rows; empty lines are passed over.

    Raises SpecError, with the line, for a row of more or fewer cells than the header, and for a quote that is never closed.
    """
    if "\0" in content.partition("\n")[0]:  # in a name further down it makes that one unusable
        raise SpecError(f"concepts.sources: {path!r} holds zero bytes, as no text does; save the table as CSV in UTF-8")
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    rows: list[Row] = []
    line = 1
    try:
        for cells in reader:
            begins, line = line, reader.line_num + 1
            if not cells or (header and len(header) > 1 and not "".join(cells).strip() and len(cells) == 1):
                continue
            if header is None:
                header = cells
                continue
            if len(cells) != len(header):
                raise SpecError(f"concepts.sources: {path!r}, line {begins}: {_ragged(cells, header, delimiter)}")
            rows.append((begins, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        opened = list(io.StringIO(content, newline=""))[line - 1].rstrip("\r\n")[:60]
        raise SpecError(
            f"concepts.sources: {path!r}, line {line}: {error} in the row that begins {opened!r}; a quote at the start of a cell "
            'must be closed at its end, and doubled ("") where it is part of a name'
        ) from error
    return header or [], rows


def require_one_line(rows: Iterable[tuple[int, Mapping[str, str]]], columns: Iterable[str], path: str) -> None:
    """Raises SpecError for a cell of these columns that runs over several lines: a stray quote swallows rows that way."""
    named = list(columns)
    for line, row in rows:
        for column in named:
            if "\n" in row[column] or "\r" in row[column]:
                raise SpecError(
                    f"concepts.sources: {path!r}, line {line}: the quoted cell of {column!r} runs over "
                    f"{len(row[column].splitlines())} lines, {row[column][:60]!r}; close its quote, or write it on one line"
                )


def _ragged(cells: list[str], header: list[str], delimiter: str) -> str:
    if len(cells) < len(header):
        return f"{len(cells)} cells, and none for column {header[len(cells)]!r}; write an empty cell where there is nothing"
    return (
        f"{len(cells)} cells for {len(header)} columns, cell {len(header) + 1} is {cells[len(header)][:60]!r}; put a cell that "
        f"holds {CALLED[delimiter]} in double quotes"
    )
