"""What every room's walk has in common: its missing shards in bundles, one task run a bundle, one engine a worker."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from queue import SimpleQueue
from typing import Any

from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectNotFound
from prefect.futures import PrefectFuture, wait

from data_specs.errors import EngineError, SpecError
from data_specs.run import Run
from data_specs.shard import SealedRoom, ShardAddress
from flows.execution.seal import seal
from flows.execution.stage_run import Visit
from flows.runs.folder import log_folder
from flows.runs.resolve import Room
from tasks.engines import EngineProcess, engine_threads
from tasks.events import Said, tell
from tasks.shards import unclaimed

MOST_BUNDLES = 100
"""Task runs a room, however many shards: beyond some hundreds the run graph cannot be read."""
MOST_FAILED_ENGINES = 2
"""Bundles that may end with an EngineError, their retries used up, before a room is given up."""
ENGINE_LIMIT = "synclr-engines"
"""The server's limit on rooms that hold engines, over all its runs: a GPU, or a laptop's cores, serve one room at a time.

`synclr deploy` sets it; on a server without it nothing is limited.
"""
LEASE_SECONDS = 60
"""So long the slot of a run that was killed stays taken; Prefect renews it while the run lives, and asks for no less."""

Submit = Callable[[Sequence[ShardAddress], EngineProcess], PrefectFuture[Any]]


def walk_shards(visit: Visit, unit: str, per_shard: int, submit: Submit) -> SealedRoom:
    """Make what is missing of a room; `submit` hands one bundle to a task. Raises what a bundle raised, after all ended."""
    run, room = visit.run, visit.room
    visit.begin(unit, len(room.shards) * per_shard, (len(room.shards) - len(visit.missing)) * per_shard)
    futures: list[PrefectFuture[Any]] = []
    if visit.missing:
        workers = min(run.spec.execution.workers, len(visit.missing))
        threads = engine_threads(run.spec.execution, len(room.shards))
        with engines(run, room, workers, threads) as started:
            futures = hand_out(unclaimed_first(bundles(visit.missing, workers)), started, submit)
            # All bundles end before one is asked for its result: a shard that fails must not throw away its neighbours.
            wait(futures)
            for future in futures:
                future.result()
    return seal(visit, futures)


def hand_out(
    waiting: Iterable[Sequence[ShardAddress]], idle: Iterable[EngineProcess], submit: Submit
) -> list[PrefectFuture[Any]]:
    """Each engine has one bundle in hand and takes the next when that has ended; returns once all are handed out, or it is lost.

    A wrong request is wrong for all, and an engine that failed twice over its retries fails again: what is in hand then
    ends, and no more is asked. A damaged shard is its bundle's alone.

    Were all submitted at once, all would be shown running and end together: nobody would see how far the room is.
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


@contextmanager
def engines(run: Run, room: Room, count: int, threads: int | None = None) -> Iterator[list[EngineProcess]]:
    """`count` engine processes that share the cores; gone, with their memory, when the block ends. None takes no slot."""
    if not count:
        yield []
        return
    threads = threads or run.spec.execution.threads or max(1, (os.cpu_count() or 1) // count)
    logs = log_folder(run)
    with ExitStack() as stack:
        stack.enter_context(_slot(room))
        yield [
            stack.enter_context(EngineProcess(threads, logs / f"{room.name}-{number}.log")) for number in range(count)
        ]


def _slot(room: Room) -> AbstractContextManager[None]:
    with get_client(sync_client=True) as client:
        try:
            limit = client.read_global_concurrency_limit_by_name(ENGINE_LIMIT)
        except ObjectNotFound:
            return nullcontext()
    if limit.active_slots >= limit.limit:
        tell(Said(f"{room.name}: waits for one of {limit.limit} engine slots ({ENGINE_LIMIT}), which other runs hold"))
    return concurrency(ENGINE_LIMIT, lease_duration=LEASE_SECONDS)


def bundles(addresses: Sequence[ShardAddress], workers: int) -> list[Sequence[ShardAddress]]:
    """Neighbouring shards together, at most `MOST_BUNDLES`, and at least one per worker."""
    count = min(len(addresses), max(workers, MOST_BUNDLES))
    return [
        addresses[len(addresses) * number // count : len(addresses) * (number + 1) // count] for number in range(count)
    ]


def unclaimed_first(waiting: Iterable[Sequence[ShardAddress]]) -> Iterator[Sequence[ShardAddress]]:
    """Bundles in order, looked at when they are asked for; those of which another process holds every shard come last.

    So two runs that walk one lineage share it, where they would wait for each other at every bundle of one shard.
    """
    later = []
    for bundle in waiting:
        if any(unclaimed(address) for address in bundle):
            yield bundle
        else:
            later.append(bundle)
    yield from later
