"""Logistic regression by L-BFGS (scikit-learn's).

Legend: N training rows, M test rows, D feature width, C classes.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from models.probes.labels import Decisions, Features, Labels, Standard

NEVER = np.float32(-1e30)
"""The decision for a class that no training row shows."""
TOLERANCE = 1e-12
"""Of the gradient, as in SynCLR's evaluation. At scikit-learn's 1e-4 penalties below 1e-3 are not fitted at all."""


class Logistic:
    """A probe on one set of training rows, fitted from zero for each penalty, so that what was validated is what is fitted again.

    Minimises sum of losses + penalty / 2 * |weights|^2 on standardised features, as SynCLR's evaluation does (C = 1 /
    penalty); many classes share one softmax; where an image may show several classes each has a regression of its own.
    """

    def __init__(self, features_ND: Features, labels: Labels, classes: int, iterations: int) -> None:
        self._standard = Standard.of(features_ND)
        self._features_ND = self._standard(features_ND)
        self._columns = [labels] if labels.ndim == 1 else list(labels.T)
        self._several = labels.ndim == 2
        self._classes = classes
        self._models = [LogisticRegression(solver="lbfgs", tol=TOLERANCE, max_iter=iterations) for _ in self._columns]

    def fit(self, penalty: float) -> int:
        """Fit; returns how many iterations it took."""
        for model, column in zip(self._models, self._columns, strict=True):
            if len(np.unique(column)) > 1:
                model.C = 1.0 / penalty
                with warnings.catch_warnings():
                    # What was reached within the iterations asked for is the probe; their number is in the scores.
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    model.fit(self._features_ND, column)
        return max((int(np.max(model.n_iter_)) for model in self._models if hasattr(model, "n_iter_")), default=0)

    def decide(self, features_MD: Features) -> Decisions:
        standard_MD = self._standard(features_MD)
        decisions_MC = np.full((len(features_MD), self._classes), NEVER, np.float32)
        for place, (model, column) in enumerate(zip(self._models, self._columns, strict=True)):
            known = np.unique(column)
            if len(known) == 1 and not self._several:
                decisions_MC[:, known[0]] = 0.0
            elif len(known) > 1:
                found = model.decision_function(standard_MD)
                if self._several:
                    decisions_MC[:, place] = found
                else:
                    decisions_MC[:, known] = found if found.ndim == 2 else np.stack([-found, found], 1)
        return decisions_MC
