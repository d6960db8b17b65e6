"""Which patches the student does not see: a batch size and a generator enter, a boolean mask leaves."""

import torch
from torch import Tensor


def random_masks(images: int, patches: int, share: float, ratio: float, generator: torch.Generator) -> Tensor:
    """[images, patches] booleans: `share` of the images, drawn at random, lose `ratio` of their patches uniformly.

    Both numbers are rounded down, and exact (SynCLR section 3.4: half of the images, half of the tokens).
    """
    masked_images, masked_patches = int(images * share), int(patches * ratio)
    masks = torch.zeros(images, patches, dtype=torch.bool)
    chosen = torch.randperm(images, generator=generator)[:masked_images]
    order = torch.rand(masked_images, patches, generator=generator).argsort(dim=1)[:, :masked_patches]
    masks[chosen] = torch.zeros(masked_images, patches, dtype=torch.bool).scatter_(1, order, True)
    return masks
