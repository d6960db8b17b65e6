"""Which pictures a step sees: (how many captions, the spec, a seed, a step) enter, positions leave. Pure.

A step's batch does not depend on the steps before it, on workers or on ranks: a run that resumes at step s asks for s.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import SpecError
from data_specs.ids import seed_of
from data_specs.run import EncoderSpec


@dataclass(frozen=True, slots=True)
class Choice:
    """Captions [C] of a step and the copies [C, images_per_caption] drawn of each."""

    captions: NDArray[np.int64]
    copies: NDArray[np.int64]


def choose(captions: int, copies: int, spec: EncoderSpec, seed: int, step: int) -> Choice:
    """Each epoch is one shuffle of all captions, its last incomplete batch left out; copies without replacement.

    A room with fewer captions than a batch gives all of them each step. Raises SpecError for one too small to learn from.
    """
    if captions < 2:
        raise SpecError(f"the images room holds {captions} captions; an encoder needs at least 2: raise captions.total")
    if copies < spec.images_per_caption:
        raise SpecError(
            f"encoder.images_per_caption is {spec.images_per_caption}, but captions have {copies} pictures: "
            f"raise images.per_caption"
        )
    size = min(spec.captions_per_step, captions)
    epoch, slot = divmod(step, captions // size)
    order = np.random.default_rng(seed_of("encoder", "epoch", seed, epoch)).permutation(captions)
    draw = np.random.default_rng(seed_of("encoder", "copies", seed, step))
    chosen = order[slot * size : (slot + 1) * size]
    return Choice(chosen, draw.random((size, copies)).argsort(axis=1)[:, : spec.images_per_caption])
