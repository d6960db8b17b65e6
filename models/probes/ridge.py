"""A linear probe in closed form: labelled features enter, predicted classes leave.

Legend: N training rows, M test rows, D feature width, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

Features = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ridge:
    """Least squares on one-hot targets with an L2 penalty, on features standardised by the training rows."""

    mean_D: NDArray[np.float64]
    scale_D: NDArray[np.float64]
    weights_DC: NDArray[np.float64]
    offset_C: NDArray[np.float64]

    def predict(self, features_MD: Features) -> Labels:
        standard_MD = (features_MD - self.mean_D) / self.scale_D
        classes: Labels = np.argmax(standard_MD @ self.weights_DC + self.offset_C, axis=1)
        return classes


def fit_ridge(features_ND: Features, labels_N: Labels, classes: int, penalties: Sequence[float]) -> list[Ridge]:
    """One probe a penalty. Minimises mean squared error + penalty * |weights|^2, so penalties do not depend on N."""
    mean_D = features_ND.mean(0, dtype=np.float64)
    scale_D = np.maximum(features_ND.std(0, dtype=np.float64), 1e-6)
    # The product over rows in float32 (twice as fast, exact to 1e-6), the system in float64.
    standard_ND = ((features_ND - mean_D) / scale_D).astype(np.float32)
    targets_NC = np.eye(classes, dtype=np.float32)[labels_N]
    offset_C = targets_NC.mean(0)
    covariance_DD = (standard_ND.T @ standard_ND).astype(np.float64) / len(labels_N)
    correlation_DC = (standard_ND.T @ (targets_NC - offset_C)).astype(np.float64) / len(labels_N)
    diagonal = np.diag_indices(len(covariance_DD))
    probes = []
    for penalty in penalties:
        damped_DD = covariance_DD.copy()
        damped_DD[diagonal] += penalty
        # Positive definite for any penalty > 0: a third of the arithmetic of a general solver.
        factor = linalg.cho_factor(damped_DD, lower=True, overwrite_a=True, check_finite=False)
        weights_DC = linalg.cho_solve(factor, correlation_DC, check_finite=False)
        probes.append(Ridge(mean_D, scale_D, weights_DC, offset_C))
    return probes
