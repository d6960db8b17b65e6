"""A linear probe in closed form.

Legend: N training rows, M test rows, D feature width, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from models.probes.labels import Decisions, Features, Labels, Standard, targets_of

BLOCK = 8192
"""Rows whose float64 copy is held at a time."""


@dataclass(frozen=True, slots=True)
class Ridge:
    """Least squares on targets of 0 and 1 with an L2 penalty, on features standardised by the training rows."""

    standard: Standard
    weights_DC: NDArray[np.float64]
    offset_C: NDArray[np.float64]

    def decide(self, features_MD: Features) -> Decisions:
        standard_MD = (features_MD - self.standard.mean_D) / self.standard.scale_D
        decisions_MC: Decisions = (standard_MD @ self.weights_DC + self.offset_C).astype(np.float32)
        return decisions_MC


def fit_ridge(features_ND: Features, labels: Labels, classes: int, penalties: Sequence[float]) -> list[Ridge]:
    """Fit one probe for each penalty. Minimises mean squared error + penalty * |weights|^2, so penalties do not depend on N."""
    standard = Standard.of(features_ND)
    standard_ND = standard(features_ND)
    targets_NC = targets_of(labels, classes).astype(np.float64)
    offset_C = targets_NC.mean(0)
    centred_NC = targets_NC - offset_C
    rows, width = standard_ND.shape
    # The smaller of two equal systems: over features, or over rows where there are fewer of them (a few shots).
    few = rows < width
    across = standard_ND.T if few else standard_ND
    gram = _product(across, across)
    right = centred_NC if few else _product(standard_ND, centred_NC)
    diagonal = np.diag_indices(len(gram))
    probes = []
    for penalty in penalties:
        damped = gram / rows
        damped[diagonal] += penalty
        # Positive definite for any penalty > 0: a third of the arithmetic of a general solver.
        factor = linalg.cho_factor(damped, lower=True, overwrite_a=True, check_finite=False)
        solved = linalg.cho_solve(factor, right / rows, check_finite=False)
        probes.append(Ridge(standard, _product(standard_ND, solved) if few else solved, offset_C))
    return probes


def _product(left_RA: NDArray[Any], right_RB: NDArray[Any]) -> NDArray[np.float64]:
    """`left.T @ right` [A, B] in float64, some rows at a time, so that no whole float64 copy of the features is held.

    In float32 its rounding is 1e-6 of its largest value, and a smaller penalty leaves it no longer positive definite.
    """
    total = np.zeros((left_RA.shape[1], right_RB.shape[1]))
    for start in range(0, len(left_RA), BLOCK):
        left = left_RA[start : start + BLOCK].astype(np.float64)
        # Of one array with itself only half is worked out.
        right = left if right_RB is left_RA else right_RB[start : start + BLOCK].astype(np.float64)
        total += left.T @ right
    return total
