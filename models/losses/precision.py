"""The precision that losses are computed in: float32, or float64 where that is given."""

import torch
from torch import Tensor


def at_least_float32(value: Tensor) -> Tensor:
    """Losses exponentiate values divided by temperatures near 0.05, which half precision cannot hold."""
    return value.to(torch.promote_types(value.dtype, torch.float32))
