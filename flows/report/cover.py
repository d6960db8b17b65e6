"""The rooms of a run enter; how its captions spread over concepts and strategies leaves: a chart, sums, the worst covered."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from data_specs.caption import STRATEGIES
from data_specs.concept import from_row
from data_specs.run import RunSpec
from data_specs.shard import ShardAddress
from flows.inspect.coverage import covered
from flows.report.charts import Part, columns
from flows.report.sealed_stages import Walked
from tasks.shards import read_rows

MOST_CAPTIONS = 200_000
"""Looked at, in shards spread over a larger run: every slot is planned again to be counted, 25,000 a second."""
MOST_COLUMNS = 120
WORST = 10
CSS = {"concept": "kept", "background": "k-trained", "relation": "time"}
UNDRAWN = "r1"


@dataclass(frozen=True, slots=True)
class Row:
    """Sums over one strategy, or over one concept."""

    name: str
    css: str
    planned: int
    asked: int
    kept: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Cover:
    """`worst` are coverage rows of concepts that lost most of what was planned, over their strategies."""

    concepts: int
    planned: int
    whole: bool
    per_column: int
    chart: Markup
    strategies: tuple[Row, ...]
    worst: tuple[dict[str, Any], ...]


def cover(rooms: dict[str, Walked], spec: RunSpec, selection: Mapping[int, ShardAddress]) -> Cover | None:
    """`selection` are the sealed tables of what is left undrawn, by index. None where no caption was made."""
    if "captions" not in rooms or not rooms["captions"].sealed.shards:
        return None
    concepts = [from_row(row) for row in read_rows(rooms["concepts"].addresses[0]).to_pylist()]
    shards = rooms["captions"].spread(max(1, MOST_CAPTIONS // spec.captions.per_shard))
    rows = covered(concepts, shards, spec, selection)
    by_concept: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_concept.setdefault(row["concept_id"], []).append(row)
    ranked = sorted(by_concept.values(), key=lambda found: -_sum(found, "planned"))
    per_column = math.ceil(len(ranked) / MOST_COLUMNS)
    groups = [_column(ranked[start : start + per_column]) for start in range(0, len(ranked), per_column)]
    planned, kept = _sum(rows, "planned"), _sum(rows, "kept")
    return Cover(
        len(ranked),
        planned,
        len(shards) == rooms["captions"].sealed.shards,
        per_column,
        columns(groups, f"{planned:,} captions planned of {len(ranked):,} concepts, {kept:,} kept"),
        tuple(_strategy(strategy, rows) for strategy in STRATEGIES if any(row["strategy"] == strategy for row in rows)),
        tuple(_worst(ranked)),
    )


def _column(concepts: Sequence[Sequence[dict[str, Any]]]) -> list[Part]:
    rows = [row for found in concepts for row in found]
    first, last = concepts[0][0]["concept"], concepts[-1][0]["concept"]
    told = first if len(concepts) == 1 else f"{first} to {last}"
    planned, kept = _sum(rows, "planned"), _sum(rows, "kept")
    parts = []
    for strategy, css in CSS.items():
        found = [row for row in rows if row["strategy"] == strategy]
        count = _sum(found, "kept") - _sum(found, "left_out")
        parts.append(Part(f"{told}: {count:,} kept as {strategy}, of {planned:,} planned", count, css))
    undrawn = _sum(rows, "left_out")
    parts.append(Part(f"{told}: {undrawn:,} left undrawn, of {planned:,} planned", undrawn, UNDRAWN))
    return [*parts, Part(f"{told}: {planned - kept:,} lost of {planned:,} planned", planned - kept, "r0")]


def _strategy(strategy: str, rows: Sequence[dict[str, Any]]) -> Row:
    found = [row for row in rows if row["strategy"] == strategy]
    return Row(
        strategy,
        CSS[strategy],
        _sum(found, "planned"),
        _sum(found, "asked"),
        _sum(found, "kept"),
        _sum(found, "left_out"),
    )


def _worst(ranked: Iterable[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """By the share that was kept; of those alike the one with more planned. Concepts that lost nothing are not named."""
    summed = [{**found[0], **{part: _sum(found, part) for part in ("planned", "asked", "kept")}} for found in ranked]
    lost = [row for row in summed if row["kept"] < row["planned"]]
    return sorted(lost, key=lambda row: (row["kept"] / row["planned"], -row["planned"], row["concept"]))[:WORST]


def _sum(rows: Iterable[dict[str, Any]], column: str) -> int:
    return sum(int(row[column]) for row in rows)
