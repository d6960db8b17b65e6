"""Show a whole run on one page of the server, from its first second to its end: its stages, what it waits for, its scores."""

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from threading import Lock
from types import TracebackType
from typing import Self

from data_specs.stage import STAGES, SealedStage, Stage
from flows.artifacts.keys import artifact_link, history_link, key, shown_of
from flows.artifacts.lineage_page import table
from flows.artifacts.redrawn import Drawing, RedrawnArtifact
from flows.runs.meter import Meter
from flows.runs.own_pages import site_link
from flows.runs.plan import RunPlan, sealed_stages
from flows.runs.throughput import busy
from flows.server.plain_errors import one_line
from tasks import storage
from tasks.events import Event, Finished, Published, Started, Waiting
from tasks.scores.summary import headline
from tasks.shards import read_rows

LOOK_SECONDS = 10.0
"""Between two lists of a folder that another process fills: it may be a bucket's."""
HEAD = ("stage", "now", "shards", "see", "accepted", "rejected", "made last", "in")


class RunPage:
    """A listener to the events of a whole run, and its page, which is kept on the server while the block runs.

    `flow_run` is the run's own, on whose page it stands.
    """

    def __init__(self, plan: RunPlan, flow_run: str) -> None:
        self._plan, self._lock = plan, Lock()
        self._meters: dict[str, Meter] = {}
        self._sealed: dict[str, SealedStage] = {}
        self._published: dict[str, dict[str, str]] = {}
        self._waits: dict[str, str] = {}
        self._elsewhere = ""
        self._passed: set[str] = set()
        self._looked: dict[str, tuple[float, int]] = {}
        self._failure, self._report, self._ended = "", "", False
        what = f"the page of run {plan.name} is not kept"
        self._artifact = RedrawnArtifact("markdown", key(plan.name, "run", "summary"), flow_run, self.drawn, what)

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        with self._lock:
            match event:
                case Started() if event.stage in STAGES:
                    stage = self._plan.stages[event.stage]
                    self._meters[event.stage] = Meter(event, now, stage.count, _named(stage))
                case Finished() if event.stage in STAGES:
                    self._sealed = sealed_stages(self._plan)
                    self._passed.add(event.stage)
                    self._meters.pop(event.stage, None)
                case Published():
                    self._published[event.stage] = dict(event.artifacts)
                case Waiting():  # before a stage counts anything, too: benchmarks are drawn by engines
                    self._waits[event.stage] = event.text
            for meter in self._meters.values():
                meter.hear(event, now)

    def __enter__(self) -> Self:
        self._sealed = sealed_stages(self._plan)
        self._artifact.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._failure, self._ended = one_line(error) if error else "", True
        self._artifact.stop()

    @contextmanager
    def handed_over(self, stage: str) -> Iterator[None]:
        """While the block runs, a flow run of its own works on the stage: what is seen of it are its shards."""
        self._elsewhere = stage
        yield
        with self._lock:
            self._elsewhere = ""
            self._passed.add(stage)
            self._sealed = sealed_stages(self._plan)

    def report(self, url: str) -> None:
        """Where the report lies, once it is written."""
        self._report = url

    def drawn(self) -> Drawing:
        """Markdown, and in one line what the run does now."""
        with self._lock:
            now = self._now()
            parts = [f"# Run {self._plan.name}", f"**{now}**", table(HEAD, self._lines()), *self._trace()]
            if self._report:
                parts.append(f"Report: `{self._report}`")
            parts.append(f"Outputs: `{self._plan.root}`")
            if pages := site_link(self._plan.name, "its own pages"):
                parts.append(
                    f"Every shard and image of this run, with its prompt, seeds, encoders and their scores: {pages}"
                )
            if "scores" in self._sealed and "scores" not in self._meters:
                parts += ["## Scores", "\n".join(f"* {line}" for line in self._scores)]
        return "\n\n".join(parts) + "\n", f"the whole run {self._plan.name}: {now}"

    def _now(self) -> str:
        if self._failure:
            return f"failed: {self._failure}"
        if self._meters:
            return "; ".join(f"{name}: {meter.described()}" for name, meter in self._meters.items())
        if self._elsewhere and not self._ended:
            return f"{self._elsewhere}: a flow run of its own works on it, on the worker that took it"
        following = next((name for name in self._plan.requested if name not in self._passed), "")
        if self._ended or not following:
            return "done" if self._ended else "writes its report"
        return f"{following}: {self._waits.get(following) or 'begins'}"

    def _lines(self) -> Iterator[tuple[str, ...]]:
        for name in STAGES:
            stage, done, meter = self._plan.stages[name], self._sealed.get(name), self._meters.get(name)
            if done and not meter:
                shards = f"{done.count:,} of {done.count:,}"
                yield name, "sealed", shards, ", ".join(self._links(name)), *_made(done)
            else:
                there = meter.sealed if meter else self._there(name)
                yield name, self._state(name), f"{there:,} of {stage.count:,}", "", "", "", "", ""

    def _state(self, stage: str) -> str:
        """A word, so that the table fits; the line above it says more."""
        if (stage in self._meters or stage == self._elsewhere) and self._failure:
            return "failed"
        if self._waits.get(stage):
            return "waits"
        if stage in self._meters or stage == self._elsewhere:
            return "at work"
        return "to come" if stage in self._plan.requested else "not asked for"

    def _links(self, stage: str) -> Iterator[str]:
        """To what this run has published; of a stage that it did not come to, to what runs before have."""
        published = self._published.get(stage)
        for what in shown_of(stage):
            if published is None:
                yield history_link(self._plan.name, stage, what, what)
            elif what in published:
                yield artifact_link(published[what], what)

    def _there(self, stage: str) -> int:
        """How many shards it has: by their names, since manifests may be many thousands, and looked at now and then."""
        now = time.monotonic()
        looked, there = self._looked.get(stage, (None, 0))
        if looked is None or (stage == self._elsewhere and now - looked > LOOK_SECONDS):
            there = _named(self._plan.stages[stage])
            self._looked[stage] = (now, there)
        return there

    @cached_property
    def _scores(self) -> list[str]:
        return headline(self._plan.stages["scores"])

    def _trace(self) -> Iterator[str]:
        if "captions" in self._sealed and (caption := self._a_caption):
            command = shlex.join(["synclr", "trace", caption, "--root", self._plan.root])
            yield f"A caption or image, back to its concept and on to checkpoints: `{command}`"

    @cached_property
    def _a_caption(self) -> str | None:
        """The key of one, so that the command for it can be copied."""
        try:
            ids = read_rows(self._plan.stages["captions"].shard(0), ["id"])["id"].to_pylist()
        except Exception:  # whatever is wrong with that shard, the page is kept
            return None
        return ids[0] if ids else None


def _named(stage: Stage) -> int:
    there = set(storage.names(stage.folder))
    return sum(f"{address.stem}.json" in there for address in stage.shards())


def _made(stage: SealedStage) -> tuple[str, ...]:
    made = f"{stage.made:,}, {datetime.fromtimestamp(stage.unix_time, UTC):%Y-%m-%d %H:%M} UTC"
    seconds = ", ".join(filter(None, (f"{stage.seconds:.1f} s", busy(stage.engine_busy))))
    return f"{stage.accepted:,}", f"{sum(stage.rejected.values()):,}", made, seconds
