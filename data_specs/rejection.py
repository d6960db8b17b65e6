"""A sample that was refused, and why. Rejects are data, not exceptions: requested = accepted + rejected."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rejection:
    """`key` identifies the sample, `reason` is one word that reports count by, `text` is what was refused."""

    key: str
    reason: str
    text: str = ""
