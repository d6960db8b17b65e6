"""What a room has done so far leaves here; whoever shows it (a bar, a line, a log) listens."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Started:
    """A room begins: `total` units (`captions`, `images`, `steps`), of which `found` were there before."""

    room: str
    unit: str
    total: int
    found: int


@dataclass(frozen=True, slots=True)
class Advanced:
    """`by` more units are done; `note` is what a person would like to see beside the bar."""

    room: str
    by: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Worked:
    """So far this engine (its process) has drawn, or written, for `busy_seconds` of the `seconds` since it was first asked."""

    room: str
    engine: int
    busy_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Finished:
    """`engine_busy` is the share of their time for which the room's engines worked; None where nobody measures it."""

    room: str
    seconds: float
    engine_busy: float | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """Something a person should know while it happens: another process makes this shard, an engine is started anew."""

    text: str


Event = Started | Advanced | Worked | Finished | Said
Listener = Callable[[Event], None]
_listeners: list[Listener] = []
logger = logging.getLogger("synclr")


def listen(listener: Listener) -> None:
    """For as long as the process lives."""
    _listeners.append(listener)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    listen(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def tell(event: Event) -> None:
    if isinstance(event, Said):
        logger.warning(event.text)
    for listener in _listeners:
        listener(event)
