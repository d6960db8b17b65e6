"""The contrastive loss between images and captions, as in CLIP and StableRep+.

Legend: N images and C captions of this rank, K those of all ranks, D feature width.
"""

from torch import Tensor

from models.losses.multi_positive import PositiveMask, multi_positive
from models.losses.ranks import OverRanks, alone


def image_text(
    images_ND: Tensor,
    texts_CD: Tensor,
    all_images_KD: Tensor,
    all_texts_KD: Tensor,
    masks: tuple[PositiveMask, PositiveMask],
    logit_scale: Tensor,
    over_ranks: OverRanks = alone,
) -> Tensor:
    """The mean of both directions. `masks`: images against all captions, captions against all images.

    A caption's images are equally likely (StableRep's reference, losses.py). With one image a caption, and no caption
    twice, this is CLIP's symmetric cross-entropy (arXiv 2103.00020, figure 3).
    """
    temperature = 1.0 / logit_scale
    to_texts = multi_positive(images_ND, all_texts_KD, masks[0], temperature, over_ranks)
    to_images = multi_positive(texts_CD, all_images_KD, masks[1], temperature, over_ranks)
    return (to_texts + to_images) / 2.0
