"""Draw which patches are hidden from the student."""

import torch
from torch import Tensor

from models.encoder.draws import Draws


def random_masks(images: int, patches: int, share: float, ratio: float, draws: Draws) -> Tensor:
    """Draw masks, [images, patches] booleans: `share` of the images, at random, lose `ratio` of their patches uniformly.

    Both numbers are rounded down, and exact over all ranks (SynCLR section 3.4: half of the images, half of the tokens).
    """
    all_images = images * draws.world
    masked_images, masked_patches = int(all_images * share), int(patches * ratio)
    masks = torch.zeros(all_images, patches, dtype=torch.bool)
    chosen = torch.randperm(all_images, generator=draws.generator)[:masked_images]
    order = torch.rand(masked_images, patches, generator=draws.generator).argsort(dim=1)[:, :masked_patches]
    masks[chosen] = torch.zeros(masked_images, patches, dtype=torch.bool).scatter_(1, order, True)
    return draws.mine(masks)
