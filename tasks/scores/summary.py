"""Summarise sealed scores: one line for each benchmark and protocol, this encoder beside its baselines."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from data_specs.stage import Stage
from tasks.scores.search import AT_EDGE
from tasks.shards import read_rows

NAMES = {"trained": "this encoder", "random": "random init", "hog": "HOG + colour"}
ORDER = ("styles", "styles_categories", "training_styles", "photographs", "clothes")
SUBSETS = {"all": "", "seen": ", concepts seen", "unseen": ", concepts not seen"}
PROTOCOLS = ("ridge", "logistic", "sgd", "sgd_best", "zero_shot", "knn")
"""In the order in which they are shown; few-shot protocols last."""

GRIDS = {"ridge": "scores.ridge_penalties", "few": "scores.ridge_penalties"}
"""The setting that widens the grid of a protocol, by the first word of its name; other grids are those of the paper."""


def place(benchmark: str, subset: str, protocol: str) -> tuple[int, str, int, int, int, str]:
    """The sort key of score tables: the hardest benchmark first, then whole benchmarks, then linear probes.

    Few-shot tables are sorted by the number of shots.
    """
    known = PROTOCOLS.index(protocol) if protocol in PROTOCOLS else len(PROTOCOLS)
    hard = ORDER.index(benchmark) if benchmark in ORDER else len(ORDER)
    return hard, benchmark, list(SUBSETS).index(subset), known, len(protocol), protocol


def headline(stage: Stage) -> list[str]:
    """The lines, then one for each protocol whose grid may have been too narrow.

    A spread is the sample standard deviation over drawings of the benchmark and initialisations.
    """
    grouped = _grouped(scored(stage))
    ordered = sorted(grouped, key=lambda key: place(*key))
    edges = [_edge(key[0], key[2], grouped[key]) for key in ordered if key[1] == "all"]
    return [_line(*key, grouped[key]) for key in ordered] + [edge for edge in edges if edge]


def first_score(stage: Stage) -> dict[str, Any] | None:
    """`{"benchmark", "protocol", "value"}` of this encoder in the first of those lines; None where it has no score."""
    grouped = _grouped(row for row in scored(stage) if row["encoder"] == "trained")
    if not grouped:
        return None
    benchmark, _, protocol = key = min(grouped, key=lambda key: place(*key))
    return {
        "benchmark": benchmark,
        "protocol": protocol,
        "value": statistics.fmean(row["value"] for row in grouped[key]),
    }


def _grouped(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, str], list[Mapping[str, Any]]]:
    """By benchmark, subset and protocol."""
    grouped: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        grouped[row["benchmark"], row["subset"], row["protocol"]].append(row)
    return grouped


def scored(stage: Stage) -> Iterator[dict[str, Any]]:
    """Every row of the stage, whose shards must be sealed."""
    for address in stage.shards():
        yield from read_rows(address).to_pylist()


def _edge(benchmark: str, protocol: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """`styles (ridge): 3 of 9 probes chose an end of the grid, penalty 1e-05`; empty where none did."""
    found = [dict(row["settings"]) for row in rows]
    names = sorted({name for settings in found for name in settings if name.endswith(AT_EDGE)})
    texts = []
    for name in names:
        chosen = name.removesuffix(AT_EDGE)
        ends = sorted({settings[chosen] for settings in found if name in settings})
        count = sum(name in settings for settings in found)
        listed = " and ".join(f"{end:g}" for end in ends)
        texts.append(f"{count} of {len(rows)} probes chose an end of the grid, {chosen} {listed}")
    wider = f"; a wider {GRIDS[kind]} may score higher" if (kind := protocol.split("_")[0]) in GRIDS else ""
    return f"{benchmark} ({protocol}): {', '.join(texts)}{wider}" if texts else ""


def _line(benchmark: str, subset: str, protocol: str, rows: Sequence[Mapping[str, Any]]) -> str:
    kinds: dict[str, dict[tuple[str, int], list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        kinds[row["encoder"].partition("-")[0]][row["encoder"], row["seed"]].append(row["value"])
    known = [kind for kind in NAMES if kind in kinds] + sorted(set(kinds) - set(NAMES))
    parts = [f"{NAMES.get(kind, kind)} {_percent(list(kinds[kind].values()))}" for kind in known]
    return f"{benchmark}{SUBSETS[subset]} ({protocol}): {', '.join(parts)}, chance {100 * rows[0]['chance']:.2f} %"


def _percent(folds_of_each: Sequence[Sequence[float]]) -> str:
    """The mean over folds, averaged over drawings and initialisations."""
    means = [100 * statistics.fmean(folds) for folds in folds_of_each]
    spread = f" ± {statistics.stdev(means):.1f}" if len(means) > 1 else ""
    return f"{statistics.fmean(means):.1f}{spread} %"
