"""What every probe learns from, and what it answers: features, right answers and decisions.

Legend: N rows, D feature width, C classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
Answers = NDArray[np.int64]
"""[N] numbers of classes; [N, C] of 0 and 1 where a picture may show several classes, or none."""
Decisions = NDArray[np.float32]
"""[N, C]: the larger, the surer is the probe of that class."""


def targets_of(answers: Answers, classes: int) -> NDArray[np.float32]:
    """[N, C] of 0 and 1."""
    return np.eye(classes, dtype=np.float32)[answers] if answers.ndim == 1 else answers.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Standard:
    """Features with the mean and the deviation that the training rows have taken out."""

    mean_D: NDArray[np.float64]
    scale_D: NDArray[np.float64]

    @classmethod
    def of(cls, features_ND: Features) -> "Standard":
        scale_D = np.maximum(features_ND.std(0, dtype=np.float64), 1e-6)
        return cls(features_ND.mean(0, dtype=np.float64), scale_D)

    def __call__(self, features_ND: Features) -> Features:
        standard_ND: Features = ((features_ND - self.mean_D) / self.scale_D).astype(np.float32)
        return standard_ND
