"""Random numbers of one training step, the same for every image however many ranks share the batch."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Draws:
    """One number per image, for this rank's `images` of all ranks' together, so that crops do not depend on ranks.

    Every rank draws for all images, in the same order, and keeps its own: a step draws some 30 numbers per image.
    """

    generator: torch.Generator
    images: int
    rank: int = 0
    world: int = 1

    def rand(self, count: int) -> Tensor:
        """[count] in [0, 1). `count` is this rank's images, or so many times them (views, local crops), one after another."""
        return self.mine(torch.rand(count * self.world, generator=self.generator))

    def integers(self, high: int, count: int) -> Tensor:
        return self.mine(torch.randint(high, (count * self.world,), generator=self.generator))

    def mine(self, all_: Tensor) -> Tensor:
        """This rank's rows of what was drawn for all ranks' images, once or several times over."""
        if self.world == 1:
            return all_
        shared = all_.reshape(-1, self.world, self.images, *all_.shape[1:])
        return shared[:, self.rank].flatten(0, 1)
