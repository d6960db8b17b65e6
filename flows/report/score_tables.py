"""Score records enter; leaves, per benchmark and protocol, what this encoder reaches beside what it must beat."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from flows.report.charts import bar
from flows.report.sealed_stages import Walked
from flows.runs.lineages import rows
from tasks.scores.summary import NAMES, SUBSETS, place

Scored = dict[str, Any]
ROOM_AT_THE_RIGHT = 1.06


@dataclass(frozen=True, slots=True)
class Standing:
    """One kind of encoder under one protocol.

    `mean` is over folds, then over drawings of the benchmark and initialisations; `spread` is the sample standard
    deviation over the latter two (None if there is one of each), as the command line prints it; `folds` are the means
    per fold, and the bar's whisker goes from the worst of them to the best. `low` to `high` is the mean of the 95 %
    intervals of its scores: over the draw of test pictures, or over repeats of a few shots.
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
class Table:
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
    standings: tuple[Standing, ...]


def tables(room: Walked | None) -> list[Table]:
    """The hardest benchmark and the linear probe first; empty where nothing was scored."""
    if room is None:
        return []
    grouped: dict[tuple[str, str, str], list[Scored]] = defaultdict(list)
    for address in room.addresses:
        for row in rows(address):
            grouped[row["benchmark"], row["subset"], row["protocol"]].append(row)
    return [_table(*key, grouped[key]) for key in sorted(grouped, key=lambda key: place(*key))]


def _table(benchmark: str, subset: str, protocol: str, scores: Sequence[Scored]) -> Table:
    folds = tuple(sorted({score["fold"] for score in scores}))
    kinds: dict[str, list[Scored]] = defaultdict(list)
    for score in scores:
        kinds[score["encoder"].partition("-")[0]].append(score)
    most = max(max(fold for found in kinds.values() for fold in _by_fold(found, folds)), scores[0]["chance"])
    ordered = sorted(kinds, key=lambda kind: (list(NAMES).index(kind) if kind in NAMES else len(NAMES), kind))
    return Table(
        benchmark,
        SUBSETS[subset],
        protocol,
        scores[0]["metric"],
        scores[0]["chance"],
        folds,
        f"{_span(scores, 'train_size')} to learn from, {_span(scores, 'test_size')} to be tested on",
        _settings(scores),
        _chosen(kinds.get("trained", []), scores),
        tuple(_standing(kind, kinds[kind], folds, most * ROOM_AT_THE_RIGHT) for kind in ordered),
    )


def _standing(kind: str, scores: Sequence[Scored], folds: Sequence[str], most: float) -> Standing:
    each: dict[tuple[str, int], list[float]] = defaultdict(list)
    for score in scores:
        each[score["encoder"], score["seed"]].append(score["value"])
    means = [statistics.fmean(values) for values in each.values()]
    mean, spread = statistics.fmean(means), statistics.stdev(means) if len(means) > 1 else None
    by_fold, name = _by_fold(scores, folds), NAMES.get(kind, kind)
    said = f"{name}: {100 * mean:.1f} per cent, from {100 * min(by_fold):.1f} to {100 * max(by_fold):.1f} over folds"
    drawn = bar(
        mean,
        most,
        said,
        css=f"k-{kind if kind in NAMES else 'other'}",
        span=(min(by_fold), max(by_fold)) if len(by_fold) > 1 else None,
        mark=scores[0]["chance"],
    )
    low, high = (statistics.fmean(score[end] for score in scores) for end in ("low", "high"))
    return Standing(kind, name, mean, spread, len(means), low, high, by_fold, drawn)


def _by_fold(scores: Sequence[Scored], folds: Sequence[str]) -> tuple[float, ...]:
    found = ([score["value"] for score in scores if score["fold"] == fold] for fold in folds)
    return tuple(statistics.fmean(values) for values in found if values)


def _span(scores: Sequence[Scored], field: str) -> str:
    low, high = min(score[field] for score in scores), max(score[field] for score in scores)
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


def _settings(scores: Sequence[Scored]) -> str:
    """Those that are the same for all; a penalty chosen per fold is no setting of the protocol."""
    return ", ".join(f"{name} {value:g}" for name, value in sorted(_shared(scores)))


def _shared(scores: Sequence[Scored]) -> set[tuple[str, float]]:
    return set.intersection(*(set(score["settings"].items()) for score in scores))


def _chosen(scores: Sequence[Scored], others: Sequence[Scored]) -> str:
    """`penalty 0.1, 1`: every value that a fold or drawing took of what is not the same for all."""
    names = sorted({name for score in others for name in score["settings"]} - {name for name, _ in _shared(others)})
    found = {name: sorted({score["settings"][name] for score in scores if name in score["settings"]}) for name in names}
    return "; ".join(
        f"{name} {', '.join(f'{value:.4g}' for value in values)}" for name, values in found.items() if values
    )
