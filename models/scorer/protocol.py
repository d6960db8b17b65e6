"""What the images room asks of a model that looks at pictures: how well they fit a text, and how unsafe they are."""

from collections.abc import Sequence
from typing import Protocol

from data_specs.model_identity import ModelIdentity
from models.renderer.protocol import Pixels


class Scorer(Protocol):
    @property
    def identity(self) -> ModelIdentity: ...

    def score(self, pictures: Sequence[Pixels], texts: Sequence[str]) -> list[float]:
        """Cosine of each picture with its own text, from -1 to 1. Raises EngineError if the backend fails.

        It follows from the picture's 8-bit values and its text, within 1e-6 however pictures are batched; a broken picture
        (NaN) has some score.
        """
        ...


class Checker(Protocol):
    @property
    def identity(self) -> ModelIdentity: ...

    def check(self, pictures: Sequence[Pixels]) -> list[float]:
        """How far beyond safe each picture is; below 0 it is safe. As `Scorer.score` else."""
        ...
