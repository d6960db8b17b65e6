"""The interface of a language model that continues texts, or answers chats."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from data_specs.ids import digest
from data_specs.model_identity import ModelIdentity

FILTERED = "[content_filter]\n"
"""The completion in place of one that a server's content filter withheld."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a chat."""

    role: Literal["system", "user", "assistant"]
    text: str


Prompt = str | tuple[Turn, ...]
"""A text to continue, or a chat whose last turn is the user's, to answer."""


def prompt_digest(prompt: Prompt) -> str:
    """For records: changes with any word, and with who says it."""
    if isinstance(prompt, str):
        return digest("prompt", prompt)
    return digest("chat", *(part for turn in prompt for part in (turn.role, turn.text)))


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for one completion, and the seed of its sampling, in [0, 2**63)."""

    prompt: Prompt
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
        """One completion per ask, in order, that ends in a line break, or without one if it was cut off.

        Of a text its next line alone; of a chat the whole answer, of as many lines as it has, without what the model reasoned
        before it. Raises EngineError if the backend fails, SpecError if a prompt does not fit the model.
        """
        ...
