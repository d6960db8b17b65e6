"""Show the progress of stages on stderr: bars where a person watches, plain lines in a pipe or a log."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from flows.runs.meter import Meter
from tasks.events import Advanced, Emit, Event, Finished, Notice, Started, Waiting, ignore

SECONDS_BETWEEN_LINES = 5.0
"""Of one stage of one run."""

Key = tuple[str, str]
"""Run and stage: runs beside each other make the same stages."""


class Lines:
    """A listener that prints when a stage starts and ends, and now and then between."""

    def __init__(self) -> None:
        self._meters: dict[Key, Meter] = {}
        self._printed: dict[Key, float] = {}
        self._lock = Lock()  # bundles that run beside each other tell from threads of their own

    def __call__(self, event: Event) -> None:
        key, now = (event.run, event.stage), time.monotonic()
        with self._lock:
            match event:
                case Started():
                    begun = self._meters[key] = Meter(event, now)
                    self._printed[key] = now
                    self._print(f"{_title(event)}: {begun.count} found")
                case Advanced() if meter := self._meters.get(key):
                    meter.hear(event, now)
                    if now - self._printed[key] >= SECONDS_BETWEEN_LINES:
                        self._printed[key] = now
                        self._print(f"{_title(event)}: {meter.state(event.note)}")
                case Waiting() if meter := self._meters.get(key):
                    meter.hear(event, now)
                case Finished():
                    self._print(_finished(event, self._meters.pop(key, None)))
                case Notice():
                    self._print(_notice(event))

    def _print(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


class Bars:
    """A listener that keeps a bar for every stage under way, and prints a line above them when one ends."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._meters: dict[Key, Meter] = {}
        self._bars: dict[Key, TaskID] = {}
        self._lock = Lock()

    def __call__(self, event: Event) -> None:
        key, now = (event.run, event.stage), time.monotonic()
        with self._lock:
            match event:
                case Started():
                    self._remove(key)
                    begun = self._meters[key] = Meter(event, now)
                    self._bars[key] = self._progress.add_task(
                        _title(event), total=begun.total, completed=begun.done, state=begun.count
                    )
                case Waiting() if meter := self._meters.get(key):
                    meter.hear(event, now)
                case Advanced() if meter := self._meters.get(key):
                    meter.hear(event, now)
                    self._progress.update(self._bars[key], completed=meter.done, state=meter.state(event.note))
                case Finished():
                    self._print(_finished(event, self._meters.get(key)))
                    self._remove(key)
                case Notice():
                    self._print(_notice(event), style="yellow")

    def _remove(self, key: Key) -> None:
        if self._meters.pop(key, None):
            self._progress.remove_task(self._bars.pop(key))

    def _print(self, line: str, style: str | None = None) -> None:
        self._progress.console.print(line, style=style, highlight=False)


def _title(event: Event) -> str:
    return " ".join(filter(None, (event.run, event.stage)))


def _finished(event: Finished, meter: Meter | None) -> str:
    made = f"{_title(event)}: {meter.count}, " if meter else f"{_title(event)}: "
    busy = "" if event.engine_busy is None else f", engines {event.engine_busy:.0%} busy"
    return f"{made}done in {event.seconds:.1f} s{busy}"


def _notice(event: Notice) -> str:
    return f"{event.run}: {event.text}" if event.run else event.text


@contextmanager
def progress_listener(quiet: bool) -> Iterator[Emit]:
    """A listener that shows progress while the block runs; one that shows nothing if `quiet`."""
    if quiet:
        yield ignore
    elif sys.stderr.isatty():
        columns = (
            SpinnerColumn(),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            # All the width that is left: where a terminal is narrow, this is cut and nothing else.
            TextColumn(
                "{task.description}: {task.fields[state]}", markup=False, table_column=Column(ratio=1, no_wrap=True)
            ),
        )
        with Progress(*columns, console=Console(stderr=True, markup=False, emoji=False), expand=True) as progress:
            yield Bars(progress)
    else:
        yield Lines()
