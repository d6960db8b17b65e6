"""Concepts room: the recipe's sources in, one sealed table of concepts out."""

import time

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from data_specs.run import Run
from data_specs.shard import SealedRoom
from flows.addresses import rooms
from flows.walk_room import close
from tasks.concepts.ingest import ingest_table
from tasks.progress import Advanced, Started, tell
from tasks.shards import sealed

ingest = task(name="ingest concepts", cache_policy=NO_CACHE)(ingest_table)


@flow(name="concepts", flow_run_name="concepts of {run.name}")
def ingest_concepts(run: Run) -> SealedRoom:
    """Read every source, clean and merge the names, weigh them, and seal the table."""
    started = time.monotonic()
    room = rooms(run.spec, run.root)["concepts"]
    room.remember()
    found = sealed(room.table) is not None
    tell(Started("concepts", "tables", 1, int(found)))
    if not found:
        ingest(room.table, run.spec.concepts, run=run.name)
        tell(Advanced("concepts", 1))
    return close(run, room, started, made=int(not found))
