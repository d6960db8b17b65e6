"""Captions room: the table of concepts in, caption shards out."""

from prefect import flow

from data_specs.run import Run
from data_specs.shard import SealedRoom
from flows.execution.run_bundles import walk_shards
from flows.execution.stage_run import Visit
from flows.runs.resolve import rooms
from tasks.captions.compose import compose_bundle


@flow(name="captions", flow_run_name="captions of {run.name}, {run.spec.captions.total} planned")
def compose_captions(run: Run, concepts: SealedRoom | None = None) -> SealedRoom:
    """Write the captions that are planned; `concepts` only carries the edge from the room before into the run graph."""
    del concepts
    spec, all_rooms = run.spec.captions, rooms(run.spec, run.root)
    table = all_rooms["concepts"].table
    with Visit(run, all_rooms["captions"], reads=all_rooms["concepts"]) as visit:
        return walk_shards(
            visit,
            "captions",
            spec.per_shard,
            lambda bundle, engine: compose_bundle.submit(table, bundle, spec, engine, seed=run.spec.seed, run=visit.by),
        )
