"""What every room's walk has in common: its missing shards in bundles, one task run a bundle, one engine a worker."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from prefect.futures import PrefectFuture, wait

from data_specs.run import Run
from data_specs.shard import SealedRoom, ShardAddress
from flows.addresses import Room
from flows.run_folder import log_folder, point, summarise
from tasks.engines import EngineProcess
from tasks.progress import Finished, Started, tell
from tasks.shards import sealed

MOST_BUNDLES = 100
"""Task runs a room, however many shards: beyond some hundreds the run graph cannot be read."""

Submit = Callable[[Sequence[ShardAddress], EngineProcess], PrefectFuture[Any]]


def walk_shards(run: Run, room: Room, unit: str, per_shard: int, submit: Submit) -> SealedRoom:
    """Make what is missing of a room; `submit` hands one bundle to a task. Raises what a bundle raised, after all ended."""
    started = time.monotonic()
    room.remember()
    missing = [address for address in room.shards if not sealed(address)]
    found = len(room.shards) - len(missing)
    tell(Started(room.name, unit, len(room.shards) * per_shard, found * per_shard))
    if missing:
        workers = min(run.spec.execution.workers, len(missing))
        threads = run.spec.execution.threads or max(1, (os.cpu_count() or 1) // workers)
        with ExitStack() as stack:
            logs = log_folder(run)
            engines = [
                stack.enter_context(EngineProcess(threads, logs / f"{room.name}-{number}.log"))
                for number in range(workers)
            ]
            futures = [
                submit(bundle, engines[number % workers]) for number, bundle in enumerate(bundles(missing, workers))
            ]
            # All bundles end before one is asked for its result: a shard that fails must not throw away its neighbours.
            wait(futures)
            for future in futures:
                future.result()
    return close(run, room, started, made=len(missing))


def bundles(addresses: Sequence[ShardAddress], workers: int) -> list[Sequence[ShardAddress]]:
    """Neighbouring shards together, at most `MOST_BUNDLES`, and at least one per worker."""
    count = min(len(addresses), max(workers, min(MOST_BUNDLES, len(addresses))))
    return [
        addresses[len(addresses) * number // count : len(addresses) * (number + 1) // count] for number in range(count)
    ]


def close(run: Run, room: Room, started: float, made: int) -> SealedRoom:
    """Sum up a room whose shards are all sealed, and point the run at it."""
    summary = summarise(room, made)
    seconds = time.monotonic() - started
    point(run, summary, seconds)
    tell(Finished(room.name, seconds))
    return summary
