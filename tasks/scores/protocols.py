"""Features with labels and a fold enter; the share of test pictures named rightly, and the settings used, leave. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data_specs.run import ScoresSpec
from models.probes.knn import knn
from models.probes.ridge import Features, Labels, fit_ridge
from tasks.scores.folds import Fold


@dataclass(frozen=True, slots=True)
class Outcome:
    value: float
    settings: dict[str, float]


Protocol = Callable[[Features, Labels, int, Fold, ScoresSpec], Outcome]


def by_ridge(features: Features, labels: Labels, classes: int, fold: Fold, spec: ScoresSpec) -> Outcome:
    """A linear probe in closed form; its penalty is the best on the fold's validations, the larger one on a tie."""
    penalties = sorted(spec.ridge_penalties, reverse=True)
    rights = np.zeros(len(penalties))
    for fit, judge in fold.validations:
        probes = fit_ridge(features[fit], labels[fit], classes, penalties)
        rights += [np.mean(probe.predict(features[judge]) == labels[judge]) for probe in probes]
    penalty = penalties[int(rights.argmax())]
    [probe] = fit_ridge(features[fold.train], labels[fold.train], classes, [penalty])
    right = probe.predict(features[fold.test]) == labels[fold.test]
    return Outcome(float(np.mean(right)), {"penalty": penalty})


def by_knn(features: Features, labels: Labels, classes: int, fold: Fold, spec: ScoresSpec) -> Outcome:
    found = knn(
        features[fold.train], labels[fold.train], features[fold.test], classes, spec.knn_k, spec.knn_temperature
    )
    right = found == labels[fold.test]
    return Outcome(float(np.mean(right)), {"k": float(spec.knn_k), "temperature": spec.knn_temperature})


PROTOCOLS: dict[str, Protocol] = {"ridge": by_ridge, "knn": by_knn}
