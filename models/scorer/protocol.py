"""The interfaces of models that score images: fit to a text, and safety."""

from collections.abc import Sequence
from typing import Protocol

from data_specs.model_identity import ModelIdentity
from models.renderer.protocol import Pixels


class Scorer(Protocol):
    @property
    def identity(self) -> ModelIdentity: ...

    def score(self, images: Sequence[Pixels], texts: Sequence[str]) -> list[float]:
        """Cosine of each image with its own text, from -1 to 1. Raises EngineError if the backend fails.

        It depends on the image's 8-bit values and its text, within 1e-6 however images are batched; a broken image
        (NaN) has some score.
        """
        ...


class Checker(Protocol):
    @property
    def identity(self) -> ModelIdentity: ...

    def check(self, images: Sequence[Pixels]) -> list[float]:
        """By how much each image exceeds what is safe; below 0 it is safe. Otherwise as `Scorer.score`."""
        ...
