"""The arrays that probes are trained on and return: features, labels and decisions.

Legend: N rows, D feature width, C classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
Labels = NDArray[np.int64]
"""[N] class numbers; [N, C] of 0 and 1 where an image may show several classes, or none."""
Decisions = NDArray[np.float32]
"""[N, C]: the larger, the more the probe favours that class."""


def targets_of(labels: Labels, classes: int) -> NDArray[np.float32]:
    """Labels as [N, C] of 0 and 1."""
    return np.eye(classes, dtype=np.float32)[labels] if labels.ndim == 1 else labels.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Standard:
    """Standardises features by the mean and the deviation of the training rows."""

    mean_D: NDArray[np.float64]
    scale_D: NDArray[np.float64]

    @classmethod
    def of(cls, features_ND: Features) -> "Standard":
        scale_D = np.maximum(features_ND.std(0, dtype=np.float64), 1e-6)
        return cls(features_ND.mean(0, dtype=np.float64), scale_D)

    def __call__(self, features_ND: Features) -> Features:
        standard_ND: Features = ((features_ND - self.mean_D) / self.scale_D).astype(np.float32)
        return standard_ND
