"""Concepts room: the recipe's sources in, one sealed table of concepts out."""

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from data_specs.run import Run
from data_specs.shard import SealedRoom
from flows.addresses import rooms
from flows.walk_room import Visit
from tasks.concepts.ingest import ingest_table

ingest = task(name="ingest concepts", cache_policy=NO_CACHE)(ingest_table)


@flow(name="concepts", flow_run_name="concepts of {run.name}")
def ingest_concepts(run: Run) -> SealedRoom:
    """Read every source, clean and merge the names, weigh them, and seal the table."""
    visit = Visit(run, rooms(run.spec, run.root)["concepts"])
    visit.begin("tables", 1, 1 - len(visit.missing))
    if visit.missing:
        ingest(visit.room.table, run.spec.concepts, run=run.name)
    return visit.leave()
