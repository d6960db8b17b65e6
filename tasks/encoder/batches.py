"""Choose the images of a step from the step's number and a seed. Pure.

A step's batch follows from its number alone, not from the steps before it, from loader workers or from ranks: a run that
resumes at step s asks for s, and the whole state of the stream is that number. Yet the order is one that can be streamed:
an epoch shuffles the shards, takes `shuffle_shards` of them at a time, and shuffles all captions of those together.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import SpecError
from data_specs.ids import seed_of
from data_specs.specs.encoder import EncoderSpec


@dataclass(frozen=True, slots=True)
class StepCaptions:
    """The captions of a step as (shard, row) [C, 2], and which copies [C, images_per_caption] of each caption's images."""

    places_C2: NDArray[np.int64]
    copies_CK: NDArray[np.int64]

    def share(self, rank: int, world: int) -> "StepCaptions":
        """One rank's equal part, in order. Raises SpecError if ranks would get unequal numbers."""
        size, rest = divmod(len(self.places_C2), world)
        if rest or not size:
            raise SpecError(
                f"{len(self.places_C2)} captions a step cannot be shared by {world} ranks: make encoder.captions_per_step "
                f"a multiple of {world} that the images stage has"
            )
        mine = slice(rank * size, (rank + 1) * size)
        return StepCaptions(self.places_C2[mine], self.copies_CK[mine])


class Order:
    """The order of all captions over all epochs; each epoch's last incomplete batch is left out."""

    def __init__(self, counts: Sequence[int], copies: int, spec: EncoderSpec, seed: int) -> None:
        """`counts` are the captions of each shard. Raises SpecError for a stage that is too small to train on."""
        captions = sum(counts)
        if captions < 2:
            raise SpecError(
                f"the images stage holds {captions} captions; an encoder needs at least 2: raise captions.total"
            )
        if copies < spec.images_per_caption:
            raise SpecError(
                f"encoder.images_per_caption is {spec.images_per_caption}, but captions have {copies} images: "
                f"raise images.per_caption"
            )
        self.size = min(spec.captions_per_step, captions)
        self._counts, self._copies, self._spec, self._seed = np.array(counts), copies, spec, seed
        self._steps_an_epoch = captions // self.size
        self._window = lru_cache(maxsize=4)(self._shuffled)

    def choose(self, step: int) -> StepCaptions:
        """The captions of a step; copies are drawn without replacement."""
        epoch, slot = divmod(step, self._steps_an_epoch)
        draw = np.random.default_rng(seed_of("encoder", "copies", self._seed, step))
        copies_CK = draw.random((self.size, self._copies)).argsort(axis=1)[:, : self._spec.images_per_caption]
        return StepCaptions(self._captions(epoch, slot * self.size), copies_CK)

    def _captions(self, epoch: int, first: int) -> NDArray[np.int64]:
        """The `size` captions of an epoch from its `first` on; they may lie in several windows."""
        windows = self._windows(epoch)
        ends = list(accumulate(int(self._counts[window].sum()) for window in windows))
        parts, at, last = [], first, first + self.size
        while at < last:
            number = bisect_right(ends, at)
            start = ends[number - 1] if number else 0
            until = min(last, ends[number])
            parts.append(self._window(epoch, number)[at - start : until - start])
            at = until
        return np.concatenate(parts)

    def _windows(self, epoch: int) -> list[NDArray[np.int64]]:
        order = np.random.default_rng(seed_of("encoder", "shards", self._seed, epoch)).permutation(len(self._counts))
        held = self._spec.shuffle_shards
        return [order[start : start + held] for start in range(0, len(order), held)]

    def _shuffled(self, epoch: int, number: int) -> NDArray[np.int64]:
        window = self._windows(epoch)[number]
        places = np.concatenate([np.stack([np.full(n, s), np.arange(n)], 1) for s in window if (n := self._counts[s])])
        draw = np.random.default_rng(seed_of("encoder", "window", self._seed, epoch, number))
        shuffled: NDArray[np.int64] = places[draw.permutation(len(places))]
        return shuffled
