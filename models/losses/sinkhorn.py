"""Sinkhorn-Knopp: balanced soft assignments of tokens to prototypes from the teacher's logits.

Legend: T tokens of this rank, K prototypes. SynCLR paper section 3.4; SwAV (arXiv 2006.09882) for the algorithm.
"""

import torch
from torch import Tensor

from models.losses.precision import at_least_float32
from models.losses.ranks import OverRanks, alone


@torch.no_grad()
def sinkhorn(logits_TK: Tensor, temperature: float, iterations: int = 3, over_ranks: OverRanks = alone) -> Tensor:
    """Assignments [T, K]; each row sums to 1 and, over all ranks' tokens together, columns are nearly of equal mass.

    Every rank must call it, one without tokens too. A rank's result does not depend on how tokens are split over ranks.
    """
    scores_TK = at_least_float32(logits_TK) / temperature
    tokens = over_ranks(scores_TK.new_tensor(float(len(scores_TK))), "sum")
    # One maximum for all ranks: a constant factor cancels in the first normalisation, a factor a rank would not.
    lowest = torch.finfo(scores_TK.dtype).min
    highest = scores_TK.max() if scores_TK.numel() else scores_TK.new_tensor(lowest)
    mass_TK = torch.exp(scores_TK - over_ranks(highest, "max"))
    smallest = torch.finfo(mass_TK.dtype).tiny
    mass_TK = mass_TK / over_ranks(mass_TK.sum(), "sum").clamp(min=smallest)
    for _ in range(iterations):
        mass_K = over_ranks(mass_TK.sum(0), "sum")
        mass_TK = mass_TK / (mass_K.clamp(min=smallest) * mass_TK.shape[1])
        mass_TK = mass_TK / (mass_TK.sum(1, keepdim=True).clamp(min=smallest) * tokens)
    return mass_TK * tokens
