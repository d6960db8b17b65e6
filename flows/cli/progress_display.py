"""Progress events enter; bars with rates and ETA (a terminal) or plain lines (a pipe, a log) leave on stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from tasks.events import Advanced, Event, Finished, Said, Started, listening

QUIET_SECONDS = 5.0
"""Between two plain lines of one room."""


class Rate(ProgressColumn):
    """Units per second of what this run made; what it found before does not count."""

    def render(self, task: Task) -> Text:
        elapsed = task.finished_time or task.elapsed or 0.0
        made = task.completed - task.fields["found"]
        return Text(f"{made / elapsed:.1f}/s" if made and elapsed else "", style="cyan")


class Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case Started():
                if event.room in self._tasks:
                    return
                title = f"{event.room:<10}"
                self._tasks[event.room] = self._progress.add_task(
                    title, total=event.total, completed=event.found, unit=event.unit, note="", found=event.found
                )
            case Advanced() if event.room in self._tasks:
                self._progress.update(self._tasks[event.room], advance=event.by, note=event.note)
            case Finished():
                task = self._tasks[event.room]
                total = self._progress.tasks[task].total
                self._progress.update(task, completed=total, note=_busy(event))
                self._progress.stop_task(task)
            case Said():
                self._progress.console.print(event.text, style="yellow", markup=False)


class Lines:
    def __init__(self) -> None:
        self._rooms: dict[str, Started] = {}
        self._done: dict[str, int] = {}
        self._since: dict[str, float] = {}
        self._said: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        match event:
            case Started():
                self._rooms[event.room] = event
                self._done[event.room] = event.found
                self._since[event.room] = self._said[event.room] = now
                self._say(f"{event.room}: {event.found} of {event.total} {event.unit} found")
            case Advanced() if event.room in self._rooms:
                self._done[event.room] += event.by
                if now - self._said[event.room] >= QUIET_SECONDS:
                    self._said[event.room] = now
                    self._say(self._state(event.room, now) + (f", {event.note}" if event.note else ""))
            case Finished():
                busy = f", {note}" if (note := _busy(event)) else ""
                self._say(f"{self._state(event.room, now)}: done in {event.seconds:.1f} s{busy}")
            case Said():
                self._say(event.text)

    def _state(self, room: str, now: float) -> str:
        started, done = self._rooms[room], self._done[room]
        made = done - started.found
        rate = made / max(now - self._since[room], 1e-9)
        if not made or done >= started.total:
            return f"{room}: {done} of {started.total} {started.unit}"
        left = (started.total - done) / rate
        return f"{room}: {done} of {started.total} {started.unit}, {rate:.1f}/s, {left:.0f} s left"

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


def _busy(room: Finished) -> str:
    return "" if room.engine_busy is None else f"engines {room.engine_busy:.0%} busy"


@contextmanager
def shown(quiet: bool) -> Iterator[None]:
    """Show progress while the block runs: bars where a person watches, lines elsewhere, nothing if `quiet`."""
    if quiet:
        yield
    elif sys.stderr.isatty():
        columns = (
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
        )
        with Progress(*columns, console=Console(stderr=True)) as progress, listening(Bars(progress)):
            yield
    else:
        with listening(Lines()):
            yield
