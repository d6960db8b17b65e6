"""A sample that was refused, and why. Rejects are data, not exceptions: in = accepted + rejected."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rejection:
    """`key` names what was asked for, `reason` is one word that reports count by, `text` is what was refused."""

    key: str
    reason: str
    text: str = ""
