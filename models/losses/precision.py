"""The precision losses run in: half-precision tensors enter, float32 leaves; float64 stays what it is."""

import torch
from torch import Tensor


def at_least_float32(value: Tensor) -> Tensor:
    """Losses exponentiate values divided by temperatures near 0.05, which half precision cannot hold."""
    return value.to(torch.promote_types(value.dtype, torch.float32))
