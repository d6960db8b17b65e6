"""Make the missing shards of a stage: in bundles, one task run a bundle, one engine process a worker."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from prefect.futures import PrefectFuture, wait
from prefect.utilities.annotations import quote

from data_specs.errors import EngineError, SpecError
from data_specs.shard import neighbours
from data_specs.stage import SealedStage
from flows.execution.bundle_task import bundle_task
from flows.execution.seal import seal
from flows.execution.stage_run import StageRun
from flows.runs.plan import RunPlan
from flows.server.engine_slots import engine_slot
from tasks.bundles import Work
from tasks.claimed_shards import unclaimed
from tasks.engines import EngineProcess, Watch, engine_threads
from tasks.events import Emit

MOST_BUNDLES = 100
"""Task runs a stage, however many shards: beyond some hundreds the run graph cannot be read."""
MOST_FAILED_ENGINES = 2
"""The stage is given up at so many bundles that ended with an EngineError, their retries used up."""

MOST_GROUPS = 3
"""Of neighbouring shards in the name of a task run."""

Settings = TypeVar("Settings")
Inputs = TypeVar("Inputs")
Bundle = Work[Any, Any]
Make = Callable[[Bundle, EngineProcess, Emit], int]
"""Makes the shards of a bundle; returns how many units it made."""
Submit = Callable[[Bundle, EngineProcess], PrefectFuture[Any]]


def run_bundles(
    stage_run: StageRun,
    make: Make,
    settings: Settings,
    inputs: Callable[[RunPlan], Inputs],
    *,
    unit: str,
    per_shard: int,
    found: int | None = None,
    wait_for: Sequence[PrefectFuture[Any]] = (),
) -> SealedStage:
    """Make what is missing of a stage by `make(work, engine, emit)`. Raises what a bundle raised, after all have ended.

    `inputs(plan)` reads what the stage works from; it is called where something is missing. Progress counts `per_shard` units a
    shard; `found` are units that were there before, where a shard can be made in part.
    """
    plan, stage, missing = stage_run.plan, stage_run.stage, stage_run.missing
    planned = len(stage_run.planned)
    there = (planned - len(missing)) * per_shard if found is None else found
    stage_run.begin(unit, planned * per_shard, there)
    futures: list[PrefectFuture[Any]] = []
    if missing:
        work = Work(stage, tuple(missing), settings, inputs(plan), plan.spec.seed, stage_run.made_by)
        workers = min(plan.spec.execution.workers, len(missing))
        threads = engine_threads(plan.spec.execution, stage.count)
        task = bundle_task(f"make a bundle of {stage.name}", make)
        with engines(stage_run, workers, threads) as started:

            def submit(bundle: Bundle, engine: EngineProcess) -> PrefectFuture[Any]:
                named = task.with_options(task_run_name=bundle_name(bundle))
                future: PrefectFuture[Any] = named.submit(
                    quote(bundle), engine, stage_run.emit, wait_for=wait_for, return_state=False
                )
                return future

            futures = hand_out(unclaimed_first(split(work, workers)), started, submit)
            # All bundles end before one is asked for its result: a shard that fails must not throw away its neighbours.
            wait(futures)
            for future in futures:
                future.result()
    return seal(stage_run, futures)


def split(work: Bundle, workers: int) -> list[Bundle]:
    """Neighbouring shards together, in at most `MOST_BUNDLES` bundles, and at least one per worker."""
    indices = work.indices
    count = min(len(indices), max(workers, MOST_BUNDLES))
    cuts = [len(indices) * number // count for number in range(count + 1)]
    return [replace(work, indices=indices[start:end]) for start, end in zip(cuts[:-1], cuts[1:], strict=True)]


def bundle_name(bundle: Bundle) -> str:
    """`captions 000004-000007`: the shards of a bundle; of many that are no neighbours, the first and how many they are."""
    shown = [f"{first:06d}" + (f"-{last:06d}" if last > first else "") for first, last in neighbours(bundle.indices)]
    more = f" and more, {len(bundle.indices)} shards" if len(shown) > MOST_GROUPS else ""
    return f"{bundle.stage.name} {', '.join(shown[:MOST_GROUPS])}{more}"


def hand_out(waiting: Iterable[Bundle], idle: Iterable[EngineProcess], submit: Submit) -> list[PrefectFuture[Any]]:
    """Give each engine one bundle, and the next when that has ended; returns once all are handed out, or the stage is lost.

    A wrong request is wrong for all, and where two bundles failed over their retries others will: what is in hand then
    ends, and no more is asked. A damaged shard is its bundle's alone.

    Were all submitted at once, all would be shown running and end together: nobody would see how far the stage is.
    """
    free: SimpleQueue[EngineProcess] = SimpleQueue()
    for engine in idle:
        free.put(engine)
    futures: list[PrefectFuture[Any]] = []
    errors: list[BaseException] = []

    def ended(engine: EngineProcess, future: PrefectFuture[Any]) -> None:
        try:
            future.result()
        except BaseException as error:
            errors.append(error)
        free.put(engine)

    for bundle in waiting:
        engine = free.get()
        if _lost(errors):
            break
        future = submit(bundle, engine)
        future.add_done_callback(partial(ended, engine))
        futures.append(future)
    return futures


def _lost(errors: Sequence[BaseException]) -> bool:
    failed = sum(isinstance(error, EngineError) for error in errors)
    return failed >= MOST_FAILED_ENGINES or any(isinstance(error, SpecError) for error in errors)


def unclaimed_first(waiting: Iterable[Bundle]) -> Iterator[Bundle]:
    """Bundles in order, looked at when they are asked for; those of which another process holds every shard come last.

    So two runs of one lineage share it, where they would wait for each other at every bundle of one shard.
    """
    later = []
    for bundle in waiting:
        if any(unclaimed(address) for address in bundle.shards):
            yield bundle
        else:
            later.append(bundle)
    yield from later


@contextmanager
def engines(stage_run: StageRun, count: int, threads: int) -> Iterator[list[EngineProcess]]:
    """`count` engine processes that share the cores; gone, with their memory, when the block ends."""
    name, logs, execution = stage_run.stage.name, stage_run.plan.log_folder, stage_run.plan.spec.execution
    watch = Watch(execution.silence, execution.replace_silent, stage_run.notice)
    with ExitStack() as stack:
        stack.enter_context(engine_slot(stage_run.plan.name, name, stage_run.waits))
        started = [EngineProcess(threads, logs / f"{name}-{number}.log", watch) for number in range(count)]
        yield [stack.enter_context(engine) for engine in started]


def cores() -> int:
    return os.cpu_count() or 1
