"""Concepts room: the recipe's sources in, one sealed table of concepts out."""

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from data_specs.run import Run
from data_specs.shard import SealedRoom
from flows.execution.seal import seal
from flows.execution.stage_run import Visit
from flows.execution.write_backgrounds import write_backgrounds
from flows.runs.folder import point, summarise
from flows.runs.resolve import backgrounds_room, concepts_room
from tasks.concepts.ingest import ingest_table
from tasks.shards import missing

ingest = task(name="ingest concepts", cache_policy=NO_CACHE)(ingest_table)


@flow(name="concepts", flow_run_name="concepts of {run.name}")
def ingest_concepts(run: Run) -> SealedRoom:
    """Read every source, clean and merge the names, have an LLM write backgrounds if asked to, weigh, and seal the table."""
    room, asked = concepts_room(run.spec, run.root), backgrounds_room(run.spec, run.root)
    if asked and missing(room.shards):
        write_backgrounds(run)
    elif asked and not missing(asked.shards):
        point(run, summarise(asked, made=0), seconds=0.0)
    with Visit(run, room, reads=asked) as visit:
        visit.begin("tables", 1, 1 - len(visit.missing))
        written = asked.shards if asked else ()
        made = [ingest(address, run.spec.concepts, written, run=visit.by) for address in visit.missing]
        return seal(visit, made)
