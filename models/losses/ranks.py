"""The type of the reductions over ranks that losses take as an argument: they open no process group themselves."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

Reduction = Literal["sum", "max", "mean"]
OverRanks = Callable[[Tensor, Reduction], Tensor]


def alone(value: Tensor, _: Reduction) -> Tensor:
    """The reduction of a single process: the value itself."""
    return value
