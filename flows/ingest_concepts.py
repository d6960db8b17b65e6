"""Concepts room: the recipe's sources in, one sealed table of concepts out."""

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from data_specs.run import Run
from data_specs.shard import SealedRoom
from flows.addresses import rooms
from flows.seal_room import seal
from flows.visit import Visit
from tasks.concepts.ingest import ingest_table

ingest = task(name="ingest concepts", cache_policy=NO_CACHE)(ingest_table)


@flow(name="concepts", flow_run_name="concepts of {run.name}")
def ingest_concepts(run: Run) -> SealedRoom:
    """Read every source, clean and merge the names, weigh them, and seal the table."""
    with Visit(run, rooms(run.spec, run.root)["concepts"]) as visit:
        visit.begin("tables", 1, 1 - len(visit.missing))
        made = [ingest(address, run.spec.concepts, run=visit.by) for address in visit.missing]
        return seal(visit, made)
