"""Keep a progress bar of one stage run on the server: how many shards are sealed, how fast it goes, what it waits for."""

import time
from types import TracebackType
from typing import Self

from data_specs.stage import Stage
from flows.artifacts.keys import key
from flows.artifacts.redrawn import Drawing, RedrawnArtifact
from flows.runs.meter import Meter
from tasks.events import Event, Started


class ProgressArtifact:
    """A listener to events, used as a block; the bar is there once its stage has begun. `sealed` shards were there before."""

    def __init__(self, run: str, stage: Stage, sealed: int, flow_run: str) -> None:
        self._run, self._stage, self._sealed = run, stage, sealed
        self._meter: Meter | None = None
        what = f"{stage.name}: no progress"
        self._artifact = RedrawnArtifact("progress", key(run, stage.name, "progress"), flow_run, self.drawn, what)

    def __call__(self, event: Event) -> None:
        if self._meter:
            self._meter.hear(event, time.monotonic())
        elif isinstance(event, Started) and event.stage == self._stage.name:
            self._meter = Meter(event, time.monotonic(), self._stage.count, self._sealed)
            self._artifact.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._artifact.stop()

    def drawn(self) -> Drawing:
        meter = self._meter
        assert meter is not None  # nothing is drawn before
        return meter.percent, f"{self._stage.name} of {self._run}: {meter.described()}"
