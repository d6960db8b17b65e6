"""One run's work in one stage: what is missing there, who hears of it, and the sealed stage at its end."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from prefect.runtime import flow_run

from data_specs.errors import ShardError
from data_specs.shard import MadeBy
from data_specs.stage import RECORDS, SealedStage, Stage
from flows.artifacts.makers import makers
from flows.artifacts.progress import ProgressArtifact
from flows.execution.run_log import run_log
from flows.open_lineage import Emitter
from flows.runs.plan import RunPlan, read_sealed, record_sealed
from flows.runs.resolve import stale_fields, write_facts
from flows.runs.throughput import format_number, per_second
from flows.server.plain_errors import one_line
from flows.server.run_states import show_waiting
from tasks.events import Emit, Event, Finished, Milestone, Notice, Started, Waiting, Worked, ignore
from tasks.shards import manifests, missing, require_manifests

logger = logging.getLogger("synclr")


class StageRun:
    """A block around a stage's work. `reads` is the stage before; `stale` the fields in which the run's last result differed.

    `planned` are this process's shards, `missing` those of them that were not sealed when it began.

    A plain class, and not a dataclass: Prefect looks through the arguments of its tasks.
    """

    def __init__(self, plan: RunPlan, name: str, reads: Stage | None = None) -> None:
        self.plan, self.stage, self.reads = plan, plan.stages[name], reads
        # The table of concepts takes seconds, and every slice needs it at once: whoever is there first makes it.
        own: Callable[[Sequence[int]], list[int]] = list if name == "concepts" else plan.own
        self.planned, self.missing = own(range(self.stage.count)), own(missing(self.stage))
        self.stale = stale_fields(self.stage, read_sealed(plan).get(name))
        self.flow_run: str | None = flow_run.id
        self.made_by = MadeBy(plan.name, self.flow_run)
        self._started, self._waited = time.monotonic(), 0.0
        self._waiting_since: float | None = None
        self._log: Emit = run_log() if self.flow_run else ignore
        self._open = ExitStack()
        self._worked: dict[int, Worked] = {}
        self._noticed: set[str] = set()
        self._progress: ProgressArtifact | None = None
        self._open_lineage = Emitter(plan, self.stage, reads, self.flow_run, self.stale, self.emit)
        write_facts(self.stage)

    def emit(self, event: Event) -> None:
        """Handed to whatever works in this stage: reaches the run's listeners, its log, and its progress on the server."""
        match event:
            case Notice() if event.text in self._noticed:  # what one shard has to say, every shard says
                return
            case Notice():
                self._noticed.add(event.text)
                logger.warning(event.text)
            case Milestone():
                logger.info(event.text)
            case Worked():
                self._worked[event.engine] = event
        if self._progress:
            self._progress(event)
        self._log(event)
        self.plan.emit(event)

    def notice(self, text: str) -> None:
        self.emit(Notice(self.plan.name, self.stage.name, text))

    def waits(self, text: str) -> None:
        """Called with what the stage waits for, whenever that changes, and with an empty text once it goes on."""
        now = time.monotonic()
        if self._waiting_since is not None:
            self._waited += now - self._waiting_since
        self._waiting_since = now if text else None
        self.emit(Waiting(self.plan.name, self.stage.name, text))
        self._open_lineage.waits(text)
        if text:
            self.notice(f"{self.stage.name}: {text}")
        if self.flow_run:
            show_waiting(self.flow_run, text)

    @property
    def seconds(self) -> float:
        """Since it began, without the time for which it waited for an engine slot."""
        return time.monotonic() - self._started - self._waited

    @property
    def engine_busy(self) -> float | None:
        """The share of their time for which this stage's engines worked, of those that say; None if none does."""
        spent = sum(engine.seconds for engine in self._worked.values())
        return sum(engine.busy_seconds for engine in self._worked.values()) / spent if spent else None

    def __enter__(self) -> Self:
        if self.flow_run:
            there = self.stage.count - len(self.missing)
            progress = ProgressArtifact(self.plan.name, self.stage, there, self.flow_run)
            self._progress = self._open.enter_context(progress)
        self._open_lineage.started()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)
        if isinstance(error, ShardError):
            error.of_run(self.plan.name, self.plan.root)
        if error is not None:
            self._open_lineage.failed(error)
            self._tell(f"failed: {one_line(error)}", failed=True)

    def begin(self, unit: str, total: int, found: int) -> None:
        part = "" if self.plan.slice is None else f" as slice {self.plan.slice}"
        self._tell(f"begins: {len(self.missing):,} of {self.stage.count:,} shards to make{part}")
        self.emit(Started(self.plan.name, self.stage.name, unit, total, found))

    def finish(self) -> SealedStage:
        """Sum up a stage whose shards are all sealed, and record it for the run. Raises ContractError if one is not."""
        found = sum_up(self.stage, len(self.missing), self.seconds, self.engine_busy)
        record_sealed(self.plan, found)
        self.emit(Finished(self.plan.name, self.stage.name, self.seconds, self.engine_busy))
        self._open_lineage.completed(found)
        self._tell(made_and_reused(found, len(self.missing), self.seconds, self.plan, self.flow_run))
        return found

    def finish_part(self) -> SealedStage:
        """Sum up what is sealed of a stage that other slices still work in; it is not recorded, since it is not whole."""
        found = sum_up(self.stage, len(self.missing), self.seconds, self.engine_busy, partly=True)
        self.emit(Finished(self.plan.name, self.stage.name, self.seconds, self.engine_busy))
        self._open_lineage.completed(found)
        left = len(missing(self.stage))
        self._tell(f"slice {self.plan.slice}: its {len(self.planned):,} shards are sealed; others make {left:,} more")
        return found

    def _tell(self, text: str, *, failed: bool = False) -> None:
        self.emit(Milestone(self.plan.name, self.stage.name, f"{self.stage.name} {text}", failed))


def made_and_reused(found: SealedStage, made: int, seconds: float, plan: RunPlan, flow_run: str | None) -> str:
    """`sealed: 12 shards made in 81.2 s (4.73 captions a second), 5 reused (4 of run first, 1 of run second)`."""
    parts = []
    if made:
        rate = per_second(found, plan.spec)
        unit = "images" if found.name == "images" else RECORDS[found.name]
        fast = "" if rate is None else f" ({format_number(rate)} {unit} a second)"
        parts.append(f"{made:,} {'shard' if made == 1 else 'shards'} made in {seconds:.1f} s{fast}")
    if reused := found.count - made:
        runs = Counter[str]()
        for maker in makers(found) if flow_run or not made else ():  # without a server nobody knows which try made what
            if flow_run is None or maker.flow_run != flow_run:
                runs[maker.run or "without a name"] += maker.shards
        of = ", ".join(f"{count:,} of run {run}" for run, count in runs.items())
        parts.append(f"{reused:,} reused" + (f" ({of})" if of else ""))
    return f"sealed: {', '.join(parts)}, {found.accepted:,} accepted, {sum(found.rejected.values()):,} rejected"


def sum_up(
    stage: Stage, made: int, seconds: float = 0.0, engine_busy: float | None = None, *, partly: bool = False
) -> SealedStage:
    """The sums over a stage's manifests. Raises ContractError if a shard is not sealed, unless it may be there `partly`."""
    found = [each for each in manifests(stage) if each] if partly else require_manifests(stage)
    rejected: Counter[str] = Counter()
    for manifest in found:
        rejected.update(manifest.rejected)
    return SealedStage(
        **stage.model_dump(include=set(Stage.model_fields)),
        accepted=sum(manifest.accepted for manifest in found),
        rejected=dict(sorted(rejected.items())),
        made=made,
        seconds=round(seconds, 2),
        unix_time=round(time.time(), 2),
        engine_busy=None if engine_busy is None else round(engine_busy, 4),
    )
