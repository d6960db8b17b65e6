"""The interface of a language model that completes prompts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from data_specs.model_identity import ModelIdentity


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for one completion: the text to continue, and the seed of its sampling, in [0, 2**63)."""

    prompt: str
    seed: int


class Captioner(Protocol):
    """Temperature, nucleus and length are fixed when it is built.

    The same asks, in the same order, give the same completions, whatever was asked before and in whatever process. Other
    asks in the call may change a completion (batched sums round differently), so a shard is always one call. A server
    batches requests of many callers as they arrive: it is sent the same seeds, but promises only nearly the same.
    """

    @property
    def model(self) -> ModelIdentity: ...

    def complete(self, asks: Sequence[Ask]) -> list[str]:
        """One completion per ask, in order: one line that ends in a line break, or without one if it was cut off.

        Raises EngineError if the backend fails, SpecError if a prompt does not fit the model.
        """
        ...
