"""Addresses of sealed shards enter; who made them, when, and in how many seconds of work leaves."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from data_specs.shard import ShardAddress
from tasks import storage

MOST = 1000
"""Records read to learn who made a room; of more shards, this many are taken, evenly."""
READERS = 16


@dataclass(frozen=True, slots=True)
class Maker:
    """One run, in one flow run if a server knew it: how many shards it made, from when to when (Unix time)."""

    run: str
    flow_run: str | None
    shards: int
    first: float
    last: float
    seconds: float


def makers(addresses: Sequence[ShardAddress]) -> list[Maker]:
    """The latest first. A shard whose record was lost counts for a run without a name."""
    count = min(MOST, len(addresses))
    looked_at = [addresses[number * len(addresses) // count] for number in range(count)]
    with ThreadPoolExecutor(READERS) as pool:
        records = list(pool.map(_record, looked_at))
    grouped: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
    for record in records:
        grouped.setdefault((record["run"], record.get("flow_run")), []).append(record)
    found = [
        Maker(
            run,
            flow_run,
            len(made),
            min(record["unix_time"] for record in made),
            max(record["unix_time"] for record in made),
            sum(record["seconds"] for record in made),
        )
        for (run, flow_run), made in grouped.items()
    ]
    return sorted(found, key=lambda maker: -maker.last)


def _record(address: ShardAddress) -> dict[str, Any]:
    text = storage.read_bytes(address.file("made.json"))
    record: dict[str, Any] = json.loads(text) if text else {"run": "", "unix_time": 0.0, "seconds": 0.0}
    return record
