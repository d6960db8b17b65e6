"""The room inside `concepts`: names without backgrounds in, shards of backgrounds that an LLM wrote out."""

from prefect import flow

from data_specs.run import Run
from data_specs.shard import SealedRoom
from flows.execution.run_bundles import walk_shards
from flows.execution.stage_run import Visit
from flows.runs.resolve import backgrounds_room
from tasks.concepts.ingest import asked_about
from tasks.concepts.write_backgrounds import write_bundle


@flow(name="backgrounds", flow_run_name="backgrounds of {run.name}")
def write_backgrounds(run: Run) -> SealedRoom:
    """Ask about what is not sealed yet; the engine is gone when this ends."""
    spec, room = run.spec.concepts.backgrounds_by, backgrounds_room(run.spec, run.root)
    assert spec is not None and room is not None
    objects = asked_about(run.spec.concepts)
    about = {
        address: objects[address.index * spec.per_shard : (address.index + 1) * spec.per_shard]
        for address in room.shards
    }
    with Visit(run, room) as visit:
        return walk_shards(
            visit,
            "objects",
            spec.per_shard,
            lambda bundle, engine: write_bundle.submit(
                [about[address] for address in bundle], bundle, spec, engine, seed=run.spec.seed, run=visit.by
            ),
        )
