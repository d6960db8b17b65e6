"""Score records enter; leaves, per benchmark and protocol, what this encoder reaches beside what it must beat."""

import math
import re
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from flows.charts import bar
from flows.lineages import rows
from flows.report.walked import Walked

Scored = dict[str, Any]
ORDER = ("trained", "random", "hog")
NAMES = {"trained": "this encoder", "random": "random init", "hog": "HOG + colour"}
HEADLINE_BENCHMARK, HEADLINE_PROTOCOLS = "styles", ("linear", "ridge", "probe")


@dataclass(frozen=True, slots=True)
class Standing:
    """One kind of encoder under one protocol: mean and sample standard deviation over `count` folds, seeds and inits."""

    kind: str
    name: str
    mean: float
    spread: float | None
    count: int
    folds: tuple[float | None, ...]
    bar: Markup


@dataclass(frozen=True, slots=True)
class Table:
    benchmark: str
    protocol: str
    metric: str
    chance: float
    folds: tuple[str, ...]
    sizes: str
    settings: str
    standings: tuple[Standing, ...]


def tables(room: Walked | None) -> list[Table]:
    """The headline's table first, then by name."""
    if room is None:
        return []
    grouped: dict[tuple[str, str, str], list[Scored]] = defaultdict(list)
    for address in room.addresses:
        for row in rows(address):
            grouped[row["benchmark"], row["protocol"], row["metric"]].append(row)
    found = [_table(*key, scores) for key, scores in sorted(grouped.items())]
    return sorted(found, key=_rank)


def _rank(table: Table) -> tuple[bool, bool, int]:
    known = [number for number, word in enumerate(HEADLINE_PROTOCOLS) if word in table.protocol]
    plain = table.benchmark == HEADLINE_BENCHMARK
    return (not plain, not table.metric.startswith(("top", "acc")), known[0] if known else len(HEADLINE_PROTOCOLS))


def _table(benchmark: str, protocol: str, metric: str, scores: Sequence[Scored]) -> Table:
    folds = tuple(sorted({score["fold"] for score in scores}))
    chance = math.fsum(score["chance"] for score in scores) / len(scores)
    kinds: dict[str, list[Scored]] = defaultdict(list)
    for score in scores:
        kinds[kind_of(score["encoder"])].append(score)
    most = max(max(_mean(found) + (_spread(found) or 0) for found in kinds.values()), chance) * 1.08
    ordered = sorted(kinds, key=lambda kind: (ORDER.index(kind) if kind in ORDER else len(ORDER), kind))
    return Table(
        benchmark,
        protocol,
        metric,
        chance,
        folds,
        f"{_span(scores, 'train_size')} to learn from, {_span(scores, 'test_size')} to be tested on",
        _settings(scores),
        tuple(_standing(kind, kinds[kind], folds, most, chance) for kind in ordered),
    )


def _standing(kind: str, scores: Sequence[Scored], folds: Sequence[str], most: float, chance: float) -> Standing:
    mean, spread, name = _mean(scores), _spread(scores), NAMES.get(kind, kind)
    by_fold = [[score for score in scores if score["fold"] == fold] for fold in folds]
    within = f" plus or minus {100 * spread:.1f}" if spread is not None else ""
    said = f"{name}: {100 * mean:.1f} per cent{within}; chance {100 * chance:.2f}"
    drawn = bar(mean, most, said, css=f"k-{kind if kind in ORDER else 'other'}", spread=spread or 0.0, mark=chance)
    return Standing(
        kind, name, mean, spread, len(scores), tuple(_mean(found) if found else None for found in by_fold), drawn
    )


def kind_of(encoder: str) -> str:
    """`random-2` -> `random`: several draws of one kind are one line with a spread; any id of a trained one is `trained`."""
    word = re.split(r"[-_:/ .]", encoder.lower())[0]
    return word if word in ("random", "hog") else "trained"


def _mean(scores: Sequence[Scored]) -> float:
    return math.fsum(score["value"] for score in scores) / len(scores)


def _spread(scores: Sequence[Scored]) -> float | None:
    return statistics.stdev(score["value"] for score in scores) if len(scores) > 1 else None


def _span(scores: Sequence[Scored], field: str) -> str:
    low, high = min(score[field] for score in scores), max(score[field] for score in scores)
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


def _settings(scores: Sequence[Scored]) -> str:
    """Those that are the same for all; a penalty chosen per fold is no setting of the protocol."""
    shared = set.intersection(*(set(score["settings"].items()) for score in scores))
    return ", ".join(f"{name} {value:g}" for name, value in sorted(shared))
