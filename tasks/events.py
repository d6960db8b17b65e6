"""Events of a running stage. Whoever makes something is handed an `emit` to tell them to; nobody is found in a module."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Started:
    """A stage run begins: `total` units (`captions`, `images`, `steps`), of which `found` were there before."""

    run: str
    stage: str
    unit: str
    total: int
    found: int


@dataclass(frozen=True, slots=True)
class Advanced:
    """`by` more units are done; `note` is what a person would like to see beside the bar."""

    run: str
    stage: str
    by: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class ShardSealed:
    """A shard of the stage is sealed: made just now, or by another process while this one waited for it."""

    run: str
    stage: str
    index: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """The stage does nothing until it has an engine slot; `text` says who holds it and since when, empty once it goes on."""

    run: str
    stage: str
    text: str


@dataclass(frozen=True, slots=True)
class Worked:
    """So far this engine (by its process id) has worked for `busy_seconds` of the `seconds` since its first call."""

    run: str
    stage: str
    engine: int
    busy_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Alive:
    """An engine's work goes on, with nothing to show yet. Told to whoever watches the engine, and to nobody else."""

    run: str
    stage: str


@dataclass(frozen=True, slots=True)
class Finished:
    """`engine_busy` is the share of their time for which the stage's engines worked; None where nobody measured it."""

    run: str
    stage: str
    seconds: float
    engine_busy: float | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should know while it happens: another process makes this shard, an engine is restarted."""

    run: str
    stage: str
    text: str


@dataclass(frozen=True, slots=True)
class Milestone:
    """A line of the run's story: a stage begins, has reused shards, has made some, or failed (`failed`)."""

    run: str
    stage: str
    text: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Published:
    """What is shown of a sealed stage on the server: `lineage`, `counts` and so on, and the id of each artifact."""

    run: str
    stage: str
    artifacts: tuple[tuple[str, str], ...]


Event = Started | Advanced | ShardSealed | Waiting | Worked | Alive | Finished | Notice | Milestone | Published
Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The `emit` of callers that show nothing."""
    del event
