"""A run and a room enter; what is missing there, who asks for it, and what happens to it on the way leave."""

import time
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from prefect.runtime import flow_run

from data_specs.run import Run
from data_specs.shard import SealedRoom
from flows.artifacts.progress import ProgressArtifact
from flows.open_lineage import Emitter
from flows.runs.folder import point, read_pointers, summarise
from flows.runs.resolve import Room
from flows.runs.status import stale_fields
from tasks.events import Event, Finished, Started, Worked, listening, tell
from tasks.shards import missing


class Visit:
    """One run's stay in one room, as a block; `reads` is the room before, `stale` what the run held against this lineage.

    A plain class, and not a dataclass: Prefect looks through the arguments of its tasks, and a room may hold 10,000
    addresses.
    """

    def __init__(self, run: Run, room: Room, reads: Room | None = None) -> None:
        self.run, self.room, self.reads = run, room, reads
        self.missing = missing(room.shards)
        self.stale = stale_fields(room, read_pointers(run).get(room.name))
        self.flow_run: str | None = flow_run.id
        self._started = time.monotonic()
        self._open = ExitStack()
        self._worked: dict[int, Worked] = {}
        self._lineage = Emitter(run, room, reads, self.flow_run, self.stale)
        room.remember()

    @property
    def by(self) -> str:
        """Who makes shards here, as `make_shard` notes it beside them."""
        return f"{self.run.name}@{self.flow_run}" if self.flow_run else self.run.name

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def engine_busy(self) -> float | None:
        """The share of their time for which this room's engines worked, of those that tell; None if none does."""
        spent = sum(engine.seconds for engine in self._worked.values())
        return sum(engine.busy_seconds for engine in self._worked.values()) / spent if spent else None

    def _look(self, event: Event) -> None:
        if isinstance(event, Worked) and event.room == self.room.name:
            self._worked[event.engine] = event

    def __enter__(self) -> Self:
        self._open.enter_context(listening(self._look))
        if self.flow_run:
            progress = ProgressArtifact(self.run.name, self.room.name, self.flow_run)
            self._open.enter_context(listening(self._open.enter_context(progress)))
        self._lineage.started()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)
        if error is not None:
            self._lineage.failed(error)

    def begin(self, unit: str, total: int, found: int) -> None:
        tell(Started(self.room.name, unit, total, found))

    def leave(self) -> SealedRoom:
        """Sum up a room whose shards are all sealed, and point the run at it. Raises ContractError if one is not."""
        summary = summarise(self.room, made=len(self.missing))
        point(self.run, summary, self.seconds, self.engine_busy)
        tell(Finished(self.room.name, self.seconds, self.engine_busy))
        self._lineage.completed(summary)
        return summary
