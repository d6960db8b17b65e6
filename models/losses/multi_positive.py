"""The multi-positive contrastive loss of SynCLR and StableRep.

Legend: A anchors, K keys (candidates), D feature width. Equations 1-3 of the SynCLR paper (arXiv 2312.17742).
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from models.losses.precision import at_least_float32
from models.losses.ranks import OverRanks, alone


@dataclass(frozen=True, slots=True)
class PositiveMask:
    """Which keys an anchor is compared with, and which of those are its positives."""

    positive_AK: Tensor
    candidate_AK: Tensor


def positive_mask(
    anchor_classes_A: Tensor,
    key_classes_K: Tensor,
    anchor_images_A: Tensor | None = None,
    key_images_K: Tensor | None = None,
) -> PositiveMask:
    """Mark keys of the anchor's class as positives; given image ids, keys of the anchor's own image are no candidates at all.

    Computed anew each step from ids, never from positions: duplicate classes, incomplete groups and shuffled batches
    are then right by construction (the reference caches one mask and relies on a fixed layout).
    """
    positive_AK = anchor_classes_A[:, None] == key_classes_K[None, :]
    candidate_AK = positive_AK.new_ones(positive_AK.shape)
    if anchor_images_A is not None and key_images_K is not None:
        candidate_AK = anchor_images_A[:, None] != key_images_K[None, :]
    return PositiveMask(positive_AK & candidate_AK, candidate_AK)


def multi_positive(
    anchors_AD: Tensor, keys_KD: Tensor, mask: PositiveMask, temperature: float | Tensor, over_ranks: OverRanks = alone
) -> Tensor:
    """Mean over anchors of the cross-entropy between "any positive, equally likely" and the softmax over candidates.

    Features need not be normalised. An anchor without a positive (an incomplete group) is left out of the mean;
    when none has one the loss is 0 and still differentiable. Over ranks the mean is that of all their anchors, once DDP has
    averaged the ranks, however anchors are split.
    """
    anchors_AD = F.normalize(at_least_float32(anchors_AD), dim=-1)
    keys_KD = F.normalize(at_least_float32(keys_KD), dim=-1)
    logits_AK = (anchors_AD @ keys_KD.T / temperature).masked_fill(~mask.candidate_AK, -1e9)
    log_q_AK = F.log_softmax(logits_AK, dim=-1)
    positives_A = mask.positive_AK.sum(-1)
    loss_A = -(log_q_AK * mask.positive_AK).sum(-1) / positives_A.clamp(min=1)
    return loss_A.sum() / over_ranks((positives_A > 0).sum().to(loss_A.dtype), "mean").clamp(min=1e-9)
