"""Tabulate scores per benchmark and protocol: this encoder beside what it must beat."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from data_specs.stage import Stage
from flows.report.charts import bar
from flows.runs.lineages import rows
from tasks.scores.search import AT_EDGE
from tasks.scores.summary import NAMES, SUBSETS, place

ScoreRecord = dict[str, Any]
RIGHT_MARGIN = 1.06


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One kind of encoder under one protocol.

    `mean` is over folds, then over draws of the benchmark and initialisations; `spread` is the sample standard
    deviation over the latter two (None if there is one of each), as the command line prints it; `folds` are the means
    per fold, and the bar's whisker goes from the worst of them to the best. `low` to `high` is the mean of the 95 %
    intervals of its scores: over the draw of test images, or over repeats of a few shots.
    """

    kind: str
    name: str
    mean: float
    spread: float | None
    count: int
    low: float
    high: float
    folds: tuple[float, ...]
    bar: Markup


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """One protocol on one benchmark; `chosen` are the hyper-parameters that this encoder's validations chose."""

    benchmark: str
    subset: str
    protocol: str
    metric: str
    chance: float
    folds: tuple[str, ...]
    sizes: str
    settings: str
    chosen: str
    score_rows: tuple[ScoreRow, ...]


def score_tables(stage: Stage | None) -> list[ScoreTable]:
    """The hardest benchmark and the linear probe first; empty where nothing was scored."""
    if stage is None:
        return []
    grouped: dict[tuple[str, str, str], list[ScoreRecord]] = defaultdict(list)
    for address in stage.shards():
        for row in rows(address):
            grouped[row["benchmark"], row["subset"], row["protocol"]].append(row)
    return [_table(*key, grouped[key]) for key in sorted(grouped, key=lambda key: place(*key))]


def _table(benchmark: str, subset: str, protocol: str, scores: Sequence[ScoreRecord]) -> ScoreTable:
    folds = tuple(sorted({score["fold"] for score in scores}))
    kinds: dict[str, list[ScoreRecord]] = defaultdict(list)
    for score in scores:
        kinds[score["encoder"].partition("-")[0]].append(score)
    most = max(max(fold for found in kinds.values() for fold in _by_fold(found, folds)), scores[0]["chance"])
    ordered = sorted(kinds, key=lambda kind: (list(NAMES).index(kind) if kind in NAMES else len(NAMES), kind))
    return ScoreTable(
        benchmark,
        SUBSETS[subset],
        protocol,
        scores[0]["metric"],
        scores[0]["chance"],
        folds,
        f"{_span(scores, 'train_size')} to learn from, {_span(scores, 'test_size')} to be tested on",
        _settings(scores),
        _chosen(kinds.get("trained", []), scores),
        tuple(_score_row(kind, kinds[kind], folds, most * RIGHT_MARGIN) for kind in ordered),
    )


def _score_row(kind: str, scores: Sequence[ScoreRecord], folds: Sequence[str], most: float) -> ScoreRow:
    each: dict[tuple[str, int], list[float]] = defaultdict(list)
    for score in scores:
        each[score["encoder"], score["seed"]].append(score["value"])
    means = [statistics.fmean(values) for values in each.values()]
    mean, spread = statistics.fmean(means), statistics.stdev(means) if len(means) > 1 else None
    by_fold, name = _by_fold(scores, folds), NAMES.get(kind, kind)
    label = f"{name}: {100 * mean:.1f} per cent, from {100 * min(by_fold):.1f} to {100 * max(by_fold):.1f} over folds"
    chart = bar(
        mean,
        most,
        label,
        css=f"k-{kind if kind in NAMES else 'other'}",
        span=(min(by_fold), max(by_fold)) if len(by_fold) > 1 else None,
        mark=scores[0]["chance"],
    )
    low, high = (statistics.fmean(score[end] for score in scores) for end in ("low", "high"))
    return ScoreRow(kind, name, mean, spread, len(means), low, high, by_fold, chart)


def _by_fold(scores: Sequence[ScoreRecord], folds: Sequence[str]) -> tuple[float, ...]:
    found = ([score["value"] for score in scores if score["fold"] == fold] for fold in folds)
    return tuple(statistics.fmean(values) for values in found if values)


def _span(scores: Sequence[ScoreRecord], field: str) -> str:
    low, high = min(score[field] for score in scores), max(score[field] for score in scores)
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


def _settings(scores: Sequence[ScoreRecord]) -> str:
    """Format those that are the same for all; a penalty chosen per fold is no setting of the protocol."""
    return ", ".join(f"{name} {_value(name, value, scores)}" for name, value in sorted(_shared(scores)))


def _shared(scores: Sequence[ScoreRecord]) -> set[tuple[str, float]]:
    return set.intersection(*(set(_named(score).items()) for score in scores))


def _named(score: ScoreRecord) -> dict[str, float]:
    return {name: value for name, value in score["settings"].items() if not name.endswith(AT_EDGE)}


def _chosen(scores: Sequence[ScoreRecord], others: Sequence[ScoreRecord]) -> str:
    """`penalty 0.1, 1`: every value that a fold or draw took of what is not the same for all."""
    names = sorted({name for score in others for name in _named(score)} - {name for name, _ in _shared(others)})
    found = {name: sorted({score["settings"][name] for score in scores if name in score["settings"]}) for name in names}
    return "; ".join(
        f"{name} {', '.join(_value(name, value, scores) for value in values)}"
        for name, values in found.items()
        if values
    )


def _value(name: str, value: float, scores: Sequence[ScoreRecord]) -> str:
    """Marked where it is an end of its grid, so that a wider one may be better."""
    at_edge = any(score["settings"].get(name) == value and f"{name}{AT_EDGE}" in score["settings"] for score in scores)
    return f"{value:.4g}{' (an end of the grid)' * at_edge}"
