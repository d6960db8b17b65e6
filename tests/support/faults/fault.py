"""What a planted fault is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake that somebody might make in `path`: `old`, which stands there exactly once, becomes `new`.

    `tests` are files or tests, as pytest takes them, of which one is expected to fail then. `slow` says that only a test with a
    real engine, server or run can.
    """

    name: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]
    slow: bool = False
