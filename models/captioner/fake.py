"""A captioner for unit tests: sentences about whatever a prompt's last line or turn names, made without a model."""

import hashlib
from collections.abc import Sequence

from data_specs.model_identity import ModelIdentity
from models.captioner.protocol import Ask

IDENTITY = ModelIdentity("fake", "0")
_MANNERS = ("small", "large", "bright", "dark", "old", "new", "quiet", "round")


class FakeCaptioner:
    """`faulty` is the share of completions that are empty, to exercise screens and retries."""

    def __init__(self, faulty: float = 0.0) -> None:
        self.model = IDENTITY
        self._faulty = faulty

    def complete(self, asks: Sequence[Ask]) -> list[str]:
        return [self._sentence(ask) for ask in asks]

    def _sentence(self, ask: Ask) -> str:
        prompt = ask.prompt if isinstance(ask.prompt, str) else "\n".join(turn.text for turn in ask.prompt)
        key = hashlib.sha256(f"{prompt}\x1f{ask.seed}".encode()).digest()
        if int.from_bytes(key[:4], "big") < self._faulty * 2**32:
            return "\n"
        query = prompt.rstrip().splitlines()[-1].removesuffix("=>").strip()
        manner, number = _MANNERS[key[4] % len(_MANNERS)], int.from_bytes(key[5:9], "big")
        return f" A {manner} picture of {query}, number {number}.\n"
