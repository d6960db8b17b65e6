"""Decisions and right answers enter; one number in [0, 1], and the interval that it may lie in, leave. Pure.

Legend: M test rows, C classes.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from data_specs.run import Metric
from models.probes.labels import Answers, Decisions, targets_of

RECALLS = np.linspace(0.0, 1.0, 11)
RESAMPLES = 200
CONFIDENCE = 0.95
Guesses = NDArray[Any]


def measured(metric: Metric, decisions_MC: Decisions, answers: Answers) -> float:
    return METRICS[metric](_looked_at(metric, decisions_MC), answers)


def _looked_at(metric: Metric, decisions_MC: Decisions) -> Guesses:
    """mAP ranks pictures by all decisions; the others count the surest alone, [M]."""
    return decisions_MC if metric == "map11" else decisions_MC.argmax(1)


def top1(guesses_M: Guesses, answers: Answers) -> float:
    return float(np.mean(guesses_M == answers))


def mean_per_class(guesses_M: Guesses, answers: Answers) -> float:
    """Each class that is tested counts the same, however many pictures show it."""
    count = np.bincount(answers)
    rights = np.bincount(answers, weights=guesses_M == answers)
    return float(np.mean(rights[count > 0] / count[count > 0]))


def map11(decisions_MC: Guesses, answers: Answers) -> float:
    """VOC 2007's: a class's mean over 11 recalls of the best precision reached there or beyond; the mean over classes.

    Classes that no picture shows have none; not a number where that is all of them.
    """
    targets_MC = targets_of(answers, decisions_MC.shape[1])
    found = []
    for place in np.flatnonzero(targets_MC.any(0)):
        # Stable: pictures of equal decisions keep their order.
        hits = targets_MC[np.argsort(-decisions_MC[:, place], kind="stable"), place].cumsum()
        precision, recall = hits / np.arange(1, len(hits) + 1), hits / hits[-1]
        best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
        # The first rank that reaches each recall; recalls are exact fractions but for the last bit.
        found.append(best_from_here[np.searchsorted(recall, RECALLS - 1e-9)].mean())
    return float(np.mean(found)) if found else math.nan


METRICS: dict[Metric, Callable[[Guesses, Answers], float]] = {
    "top1": top1,
    "mean_per_class": mean_per_class,
    "map11": map11,
}


def chance(metric: Metric, answers: Answers, classes: int) -> float:
    """Of guesses that do not look: one class of all, or for mAP how often a class is there."""
    if metric == "map11":
        shares_C = targets_of(answers, classes).mean(0)
        return float(shares_C[shares_C > 0].mean())
    return 1.0 / classes


def judged(metric: Metric, tries: Sequence[Decisions], answers: Answers, seed: int) -> tuple[float, float, float]:
    """The value and its 95 % interval: over repeats if there are several, else over the draw of the test pictures.

    Over repeats by Student's t; over pictures by the percentiles of a bootstrap.
    """
    values = [measured(metric, decisions_MC, answers) for decisions_MC in tries]
    value = float(np.mean(values))
    if len(tries) > 1:
        half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
        return value, max(0.0, value - half), min(1.0, value + half)
    low, high = _bootstrap(metric, tries[0], answers, seed)
    return value, min(low, value), max(high, value)


def _bootstrap(metric: Metric, decisions_MC: Decisions, answers: Answers, seed: int) -> tuple[float, float]:
    generator, guesses = np.random.default_rng(seed), _looked_at(metric, decisions_MC)
    drawn = []
    for _ in range(RESAMPLES):
        rows = generator.integers(0, len(answers), len(answers))
        drawn.append(METRICS[metric](guesses[rows], answers[rows]))
    tail = 100 * (1 - CONFIDENCE) / 2
    # A draw that shows no class at all says nothing.
    return float(np.nanpercentile(drawn, tail)), float(np.nanpercentile(drawn, 100 - tail))
