"""Print what `synclr show` found as a page for people: a line a record, and how to see the rest."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.table import Column, Table

from data_specs.stage import RECORDS
from flows.cli import printing
from flows.cli.printing import print_line, print_table
from flows.cli.tables import counted, moment, print_rest, reasons

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "backgrounds": ("concept", "attempt", "text"),
    "concepts": ("id", "kind", "backgrounds", "category", "name"),
    "captions": ("id", "text"),
    "selection": ("id", "verdict", "repeats"),
    "images": ("id", "images", "text"),
    "embeddings": ("encoder", "benchmark", "group", "id", "labels"),
    "scores": ("value", "encoder", "benchmark", "protocol", "subset", "fold"),
}
"""What the lines of a shard show of each record, the part that may be cut last; other stages have a few records, shown whole."""
COUNTED = ("backgrounds", "images")
"""Lists of which a line gives the length."""
MOST_ITEMS = 12
"""Of a list in a record: an object may have hundreds of backgrounds."""


def print_record(found: Mapping[str, Any], head: int) -> None:
    """A shard as a page of at most `head` records and rejects; any other key as its record in each stage."""
    for record in found["records"]:
        if found["is"] == "shard":
            _print_shard(record, head)
        else:
            print_line(f"{found['is']} {found['key']}, {_place(record['shard'])}", style="bold")
            parts = {name: part for name, part in record.items() if name not in ("shard", "record", "runs")}
            _print_whole(record["record"] | parts)
    if found["sheet"]:
        print_line(f"contact sheet: {found['sheet']}")


def _print_shard(record: Mapping[str, Any], head: int) -> None:
    manifest, shard = record["manifest"], record["shard"]
    accepted, rejected = manifest["accepted"], sum(manifest["rejected"].values())
    print_line(f"{_place(shard)}: {counted(accepted, RECORDS[shard['stage']])}, {rejected:,} rejected", style="bold")
    print_line(shard["folder"])
    if record["also_in"]:
        print_line(f"also in {counted(len(record['also_in']), 'lineages')}: {', '.join(record['also_in'])}")
    if columns := COLUMNS.get(shard["stage"]):
        _print_lines([columns, *([_cell(row[name], name) for name in columns] for row in record["records"])])
    else:
        for row in record["records"]:
            _print_whole(row)
    print_rest(accepted - len(record["records"]), head)
    if rejected:
        print_line(f"rejected: {reasons(manifest['rejected'])}", style="bold")
        _print_lines([[each["reason"], _cell(each["text"] or each["key"])] for each in record["rejects"]])
        print_rest(rejected - len(record["rejects"]), head)


def _place(shard: Mapping[str, Any]) -> str:
    """`captions-000002 of lineage 0f3a..., made by run tiny on 2026-11-30 02:51 UTC`; who made it may be lost."""
    made = shard["made"]
    by = f", made by run {made['run']} on {moment(made['unix_time'])}" if made else ""
    return f"{shard['shard']} of lineage {shard['lineage']}{by}"


def _print_lines(rows: Sequence[Sequence[str]]) -> None:
    """One line a row, cut where the terminal ends. Rich's own tables would cut the keys that people copy before the texts."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        most = printing.out.width
        print_line(line if cell_len(line) <= most else f"{set_cell_size(line, most - 1)}…")


def _print_whole(record: Mapping[str, Any]) -> None:
    """Every part of a record, wrapped in a column beside its names."""
    table = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2, 0, 0))
    for name, value in record.items():
        if value is not None and value != []:
            table.add_row(name, _value(value))
    print_table(table)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(part)}" for name, part in value.items() if part is not None)
    if isinstance(value, list):
        between = "\n" if any(isinstance(each, Mapping) for each in value) else ", "
        more = f"{between}and {len(value) - MOST_ITEMS:,} more: --json" if len(value) > MOST_ITEMS else ""
        return between.join(map(_value, value[:MOST_ITEMS])) + more
    return _cell(value)


def _cell(value: Any, name: str = "") -> str:
    """On one line, without what a terminal would take for a command."""
    if isinstance(value, list):
        return f"{len(value)}" if name in COUNTED else ", ".join(map(_cell, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    text = "" if value is None else " ".join(str(value).split())
    return text if text.isprintable() else "".join(each if each.isprintable() else "�" for each in text)
