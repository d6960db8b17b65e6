"""A linear probe in closed form.

Legend: N training rows, M test rows, D feature width, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from models.probes.labels import Decisions, Features, Labels, Standard, targets_of


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
    # The product over rows in float32 (twice as fast, exact to 1e-6), the system in float64.
    standard_ND = standard(features_ND)
    targets_NC = targets_of(labels, classes)
    offset_C = targets_NC.mean(0)
    rows, width = standard_ND.shape
    # The smaller of two equal systems: over features, or over rows where there are fewer of them (a few shots).
    few = rows < width
    gram = (standard_ND @ standard_ND.T if few else standard_ND.T @ standard_ND).astype(np.float64) / rows
    centred_NC = targets_NC - offset_C
    right = (centred_NC if few else standard_ND.T @ centred_NC).astype(np.float64) / rows
    diagonal = np.diag_indices(len(gram))
    probes = []
    for penalty in penalties:
        damped = gram.copy()
        damped[diagonal] += penalty
        # Positive definite for any penalty > 0: a third of the arithmetic of a general solver.
        factor = linalg.cho_factor(damped, lower=True, overwrite_a=True, check_finite=False)
        solved = linalg.cho_solve(factor, right, check_finite=False)
        probes.append(Ridge(standard, standard_ND.T @ solved if few else solved, offset_C))
    return probes
