"""Metrics of decisions against labels, in [0, 1], and their confidence intervals. Pure.

Legend: M test rows, C classes.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from data_specs.specs.embeddings import Metric
from models.probes.labels import Decisions, Labels, targets_of

TENTHS = np.arange(11)
"""The recalls at which VOC 2007 asks for a precision, in tenths."""
RESAMPLES = 200
CONFIDENCE = 0.95
Predictions = NDArray[Any]


def value_of(metric: Metric, decisions_MC: Decisions, labels: Labels) -> float:
    return METRICS[metric](_predictions(metric, decisions_MC), labels)


def _predictions(metric: Metric, decisions_MC: Decisions) -> Predictions:
    """All decisions for mAP, which ranks images by them; else the class with the largest, [M]."""
    return decisions_MC if metric == "map11" else decisions_MC.argmax(1)


def top1(predictions_M: Predictions, labels: Labels) -> float:
    return float(np.mean(predictions_M == labels))


def mean_per_class(predictions_M: Predictions, labels: Labels) -> float:
    """The mean over tested classes of the share of their images that is named rightly."""
    count = np.bincount(labels)
    correct = np.bincount(labels, weights=predictions_M == labels)
    return float(np.mean(correct[count > 0] / count[count > 0]))


def map11(decisions_MC: Predictions, labels: Labels) -> float:
    """VOC 2007's: a class's mean over 11 recalls of the best precision reached there or beyond; the mean over classes.

    Classes that no image shows are left out; nan where that is all of them.
    """
    targets_MC = targets_of(labels, decisions_MC.shape[1])
    found = []
    for place in np.flatnonzero(targets_MC.any(0)):
        # Stable: images of equal decisions keep their order.
        hits = targets_MC[np.argsort(-decisions_MC[:, place], kind="stable"), place].cumsum(dtype=np.int64)
        precision = hits / np.arange(1, len(hits) + 1)
        best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
        # The first rank that reaches each recall, in whole numbers: 7 of 10 in floats may be less than 0.7.
        found.append(best_from_here[np.searchsorted(10 * hits, TENTHS * hits[-1])].mean())
    return float(np.mean(found)) if found else math.nan


METRICS: dict[Metric, Callable[[Predictions, Labels], float]] = {
    "top1": top1,
    "mean_per_class": mean_per_class,
    "map11": map11,
}


def chance(metric: Metric, labels: Labels, classes: int) -> float:
    """The value of guessing: one of all classes or, for mAP, the share of images that show a class."""
    if metric == "map11":
        shares_C = targets_of(labels, classes).mean(0)
        return float(shares_C[shares_C > 0].mean())
    return 1.0 / classes


def value_with_interval(
    metric: Metric, repeats: Sequence[Decisions], labels: Labels, seed: int
) -> tuple[float, float, float]:
    """The value and its 95 % interval: by Student's t over several repeats, or by a bootstrap of the test images."""
    values = [value_of(metric, decisions_MC, labels) for decisions_MC in repeats]
    value = float(np.mean(values))
    if len(repeats) > 1:
        half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
        return value, max(0.0, value - half), min(1.0, value + half)
    low, high = _bootstrap(metric, repeats[0], labels, seed)
    return value, min(low, value), max(high, value)


def _bootstrap(metric: Metric, decisions_MC: Decisions, labels: Labels, seed: int) -> tuple[float, float]:
    generator, predictions = np.random.default_rng(seed), _predictions(metric, decisions_MC)
    resampled = []
    for _ in range(RESAMPLES):
        rows = generator.integers(0, len(labels), len(labels))
        resampled.append(METRICS[metric](predictions[rows], labels[rows]))
    tail = 100 * (1 - CONFIDENCE) / 2
    # A sample that shows no class at all has no value.
    return float(np.nanpercentile(resampled, tail)), float(np.nanpercentile(resampled, 100 - tail))
