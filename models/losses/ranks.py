"""A reduction over ranks that a loss may need: a tensor enters on every rank, its sum, maximum or mean over all leaves.

The losses never open a process group themselves: the caller hands them one of these functions.
"""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

Reduction = Literal["sum", "max", "mean"]
OverRanks = Callable[[Tensor, Reduction], Tensor]


def alone(value: Tensor, _: Reduction) -> Tensor:
    """The reduction of a single process: the value itself."""
    return value
