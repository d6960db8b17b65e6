"""The interface of an engine that renders images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from data_specs.image_group import Rendering

Pixels = NDArray[np.float32]
"""One image: height x width x 3 (RGB), values in [0, 1]; a broken one may hold NaN, which the stage then refuses."""


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """One image to render: the caption that it shows, and the seed of its start noise."""

    text: str
    seed: int


class Renderer(Protocol):
    """`rendering` records what all its images have in common; `batch_size` is how many are best requested at once."""

    @property
    def rendering(self) -> Rendering: ...

    @property
    def batch_size(self) -> int: ...

    def render(self, requests: Sequence[RenderRequest]) -> list[Pixels]:
        """One image per request, in order. Raises EngineError if the backend fails."""
        ...

    def truncated_tokens(self, texts: Sequence[str]) -> list[int]:
        """For each text, how many tokens at its end the model does not read, because they exceed `rendering.text_tokens`."""
        ...
