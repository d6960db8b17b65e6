"""What every room's walk has in common: its missing shards in bundles, one task run a bundle, one engine a worker."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
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


class Visit:
    """One run's stay in one room: what was missing when it came, and, once it leaves, what the room holds."""

    def __init__(self, run: Run, room: Room) -> None:
        self.run, self.room = run, room
        self.missing = [address for address in room.shards if not sealed(address)]
        self._started = time.monotonic()
        room.remember()

    def begin(self, unit: str, total: int, found: int) -> None:
        tell(Started(self.room.name, unit, total, found))

    def leave(self) -> SealedRoom:
        """Sum up a room whose shards are all sealed, and point the run at it. Raises ContractError if one is not."""
        summary = summarise(self.room, made=len(self.missing))
        seconds = time.monotonic() - self._started
        point(self.run, summary, seconds)
        tell(Finished(self.room.name, seconds))
        return summary


def walk_shards(visit: Visit, unit: str, per_shard: int, submit: Submit) -> SealedRoom:
    """Make what is missing of a room; `submit` hands one bundle to a task. Raises what a bundle raised, after all ended."""
    run, room = visit.run, visit.room
    visit.begin(unit, len(room.shards) * per_shard, (len(room.shards) - len(visit.missing)) * per_shard)
    if visit.missing:
        workers = min(run.spec.execution.workers, len(visit.missing))
        with engines(run, room, workers) as started:
            futures = [
                submit(bundle, started[number % workers])
                for number, bundle in enumerate(bundles(visit.missing, workers))
            ]
            # All bundles end before one is asked for its result: a shard that fails must not throw away its neighbours.
            wait(futures)
            for future in futures:
                future.result()
    return visit.leave()


@contextmanager
def engines(run: Run, room: Room, count: int) -> Iterator[list[EngineProcess]]:
    """`count` engine processes that share the cores; gone, with their memory, when the block ends."""
    threads = run.spec.execution.threads or max(1, (os.cpu_count() or 1) // count)
    logs = log_folder(run)
    with ExitStack() as stack:
        yield [
            stack.enter_context(EngineProcess(threads, logs / f"{room.name}-{number}.log")) for number in range(count)
        ]


def bundles(addresses: Sequence[ShardAddress], workers: int) -> list[Sequence[ShardAddress]]:
    """Neighbouring shards together, at most `MOST_BUNDLES`, and at least one per worker."""
    count = min(len(addresses), max(workers, MOST_BUNDLES))
    return [
        addresses[len(addresses) * number // count : len(addresses) * (number + 1) // count] for number in range(count)
    ]
