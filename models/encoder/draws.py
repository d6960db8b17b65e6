"""Random numbers of one step: a generator enters; a rank's share of what a single process would have drawn leaves."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Draws:
    """One number a picture, for this rank's `pictures` of all ranks' together, so that crops do not depend on ranks.

    Every rank draws for all pictures, in the same order, and keeps its own: a step draws some 30 numbers a picture.
    """

    generator: torch.Generator
    pictures: int
    rank: int = 0
    world: int = 1

    def rand(self, count: int) -> Tensor:
        """[count] in [0, 1). `count` is this rank's pictures, or so many times them (views, local crops), one after another."""
        return self.mine(torch.rand(count * self.world, generator=self.generator))

    def integers(self, high: int, count: int) -> Tensor:
        return self.mine(torch.randint(high, (count * self.world,), generator=self.generator))

    def mine(self, all_: Tensor) -> Tensor:
        """This rank's rows of what was drawn for all ranks' pictures, once or several times over."""
        if self.world == 1:
            return all_
        shared = all_.reshape(-1, self.world, self.pictures, *all_.shape[1:])
        return shared[:, self.rank].flatten(0, 1)
