"""What the images room asks of any engine that draws: texts and seeds in, float pixels out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from data_specs.image_group import Rendering

Pixels = NDArray[np.float32]
"""One picture: height x width x 3 (RGB), values in [0, 1]; a broken one may hold NaN, which the room then refuses."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """One picture that is wanted: what it shows, and the seed of its start noise."""

    text: str
    seed: int


class Renderer(Protocol):
    """`rendering` is all that its pictures have in common; `batch_size` how many are best asked for at once."""

    @property
    def rendering(self) -> Rendering: ...

    @property
    def batch_size(self) -> int: ...

    def render(self, drawings: Sequence[Drawing]) -> list[Pixels]:
        """One picture per drawing, in order. Raises EngineError if the backend fails."""
        ...

    def unseen(self, texts: Sequence[str]) -> list[int]:
        """Of each text, how many tokens at its end the model does not read, being more than `rendering.text_tokens`."""
        ...
