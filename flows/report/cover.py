"""Show how a run's captions spread over concepts and strategies: a chart, sums, and the concepts covered worst."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from data_specs.caption import STRATEGIES
from data_specs.selection import SELECTION
from data_specs.shard import ShardAddress
from data_specs.specs.run import RunSpec
from data_specs.stage import SealedStage
from flows.inspect.coverage import covered
from flows.report.charts import Part, columns
from flows.runs.plan import RunPlan
from tasks.concepts.ingest import read_concepts
from tasks.shards import sealed_shards

MOST_CAPTIONS = 200_000
"""Counted, in shards spread over a larger run: every slot is planned again to be counted, 25,000 a second."""
MOST_COLUMNS = 120
WORST = 10
CSS = {"concept": "kept", "background": "k-trained", "relation": "time"}
NOT_RENDERED = "r1"


@dataclass(frozen=True, slots=True)
class StrategyCoverage:
    """Sums over the captions of one strategy; `css` is the class that colours it."""

    name: str
    css: str
    planned: int
    asked: int
    kept: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Cover:
    """`whole` says whether every shard was counted; `worst` are coverage rows of the concepts that lost the largest share."""

    concepts: int
    planned: int
    whole: bool
    per_column: int
    chart: Markup
    strategies: tuple[StrategyCoverage, ...]
    worst: tuple[dict[str, Any], ...]


def selection_of(plan: RunPlan) -> dict[int, ShardAddress]:
    """The sealed tables of captions that are not rendered, by index; empty where the recipe compares nothing across shards."""
    stage = plan.stages.get(SELECTION)
    return {address.index: address for address in sealed_shards(stage)} if stage else {}


def cover(stages: Mapping[str, SealedStage], spec: RunSpec, selection: Mapping[int, ShardAddress]) -> Cover | None:
    """Count by concept and strategy; `selection` is that of `selection_of`. None where no caption was made."""
    captions = stages.get("captions")
    if captions is None or not captions.count:
        return None
    concepts = read_concepts(stages["concepts"].table)
    shards = captions.spread(max(1, MOST_CAPTIONS // spec.captions.per_shard))
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
        len(shards) == captions.count,
        per_column,
        columns(groups, f"{planned:,} captions planned of {len(ranked):,} concepts, {kept:,} kept"),
        tuple(_strategy(strategy, rows) for strategy in STRATEGIES if any(row["strategy"] == strategy for row in rows)),
        tuple(_worst(ranked)),
    )


def _column(concepts: Sequence[Sequence[dict[str, Any]]]) -> list[Part]:
    rows = [row for found in concepts for row in found]
    first, last = concepts[0][0]["concept"], concepts[-1][0]["concept"]
    label = first if len(concepts) == 1 else f"{first} to {last}"
    planned, kept = _sum(rows, "planned"), _sum(rows, "kept")
    parts = []
    for strategy, css in CSS.items():
        found = [row for row in rows if row["strategy"] == strategy]
        count = _sum(found, "kept") - _sum(found, "left_out")
        parts.append(Part(f"{label}: {count:,} kept as {strategy}, of {planned:,} planned", count, css))
    left_out = _sum(rows, "left_out")
    parts.append(Part(f"{label}: {left_out:,} not rendered, of {planned:,} planned", left_out, NOT_RENDERED))
    return [*parts, Part(f"{label}: {planned - kept:,} lost of {planned:,} planned", planned - kept, "r0")]


def _strategy(strategy: str, rows: Sequence[dict[str, Any]]) -> StrategyCoverage:
    found = [row for row in rows if row["strategy"] == strategy]
    return StrategyCoverage(
        strategy,
        CSS[strategy],
        _sum(found, "planned"),
        _sum(found, "asked"),
        _sum(found, "kept"),
        _sum(found, "left_out"),
    )


def _worst(ranked: Iterable[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Order by the share that was kept, then by the number planned. Concepts that lost nothing are left out."""
    summed = [{**found[0], **{part: _sum(found, part) for part in ("planned", "asked", "kept")}} for found in ranked]
    lost = [row for row in summed if row["kept"] < row["planned"]]
    return sorted(lost, key=lambda row: (row["kept"] / row["planned"], -row["planned"], row["concept"]))[:WORST]


def _sum(rows: Iterable[dict[str, Any]], column: str) -> int:
    return sum(int(row[column]) for row in rows)
