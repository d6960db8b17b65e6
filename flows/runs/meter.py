"""Meter one stage of one run: how far it is, how fast it goes, and what it waits for."""

from collections import deque
from datetime import timedelta

from flows.runs.throughput import format_number
from tasks.events import Advanced, Event, Finished, ShardSealed, Started, Waiting

RATED_ADVANCES = 32
"""The rate is that of the last so many: how long an engine took to load is soon forgotten."""


class Meter:
    """Told of its stage's events, with the time of each (seconds). What was found at the start is no part of the rate, and
    neither is the time for which the stage waited for an engine slot.

    `shards` are those that the stage has, of which `sealed` were there when it began.
    """

    def __init__(self, started: Started, now: float, shards: int = 0, sealed: int = 0) -> None:
        self.run, self.stage = started.run, started.stage
        self.unit, self.total, self.done = started.unit, started.total, started.found
        self.shards, self.waits_for, self.note = shards, "", ""
        self._found, self._made = sealed, set[int]()
        self._advances = deque([(now, self.done)], maxlen=RATED_ADVANCES + 1)

    def hear(self, event: Event, now: float) -> None:
        """Events of other stages change nothing."""
        if (getattr(event, "run", None), getattr(event, "stage", None)) != (self.run, self.stage):
            return
        match event:
            case Advanced():
                self.advance(event.by, now)
                self.note = event.note
            case ShardSealed():
                self._made.add(event.index)  # a bundle that is tried again tells of its shards again
            case Waiting():
                self.waits_for = event.text
                self._advances = deque([(now, self.done)], maxlen=RATED_ADVANCES + 1)
            case Finished():
                self.done, self._found = self.total, self.shards

    def advance(self, by: int, now: float) -> None:
        self.done += by
        if by < 0:  # a damaged checkpoint, a shard begun again: what was taken back is no work of this time
            self._advances.clear()
        self._advances.append((now, self.done))

    @property
    def sealed(self) -> int:
        return min(self._found + len(self._made), self.shards)

    @property
    def count(self) -> str:
        return f"{self.done} of {self.total} {self.unit}"

    @property
    def percent(self) -> float:
        return round(100 * max(0, min(self.done, self.total)) / self.total, 1) if self.total else 100.0

    def state(self, note: str) -> str:
        return ", ".join(filter(None, (self.count, self.rate, note)))

    @property
    def rate(self) -> str:
        """`8.24/s, 0:02:10 left`; empty until something is made."""
        (since, before), (until, done) = self._advances[0], self._advances[-1]
        if done <= before or until <= since:
            return ""
        per_second = (done - before) / (until - since)
        left = timedelta(seconds=round(max(self.total - done, 0) / per_second))
        return f"{format_number(per_second)}/s, {left} left"

    def described(self) -> str:
        """`3 of 17 shards sealed, 96 of 544 captions, 8.24/s, 0:02:10 left`, or what it waits for."""
        shards = f"{self.sealed:,} of {self.shards:,} shards sealed"
        return ", ".join(filter(None, (self.waits_for, shards, self.state(self.note))))
