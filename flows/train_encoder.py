"""Encoder room: image shards in, checkpoints and one exported encoder out."""

from prefect import flow

from data_specs.run import Run
from data_specs.shard import SealedRoom
from flows.execution.run_bundles import engines
from flows.execution.seal import seal
from flows.execution.stage_run import Visit
from flows.runs.resolve import rooms
from tasks.encoder.checkpoints import steps_done
from tasks.encoder.train import train_in


@flow(name="encoder", flow_run_name="encoder of {run.name}, {run.spec.encoder.steps} steps")
def train_encoder(run: Run, images: SealedRoom | None = None) -> SealedRoom:
    """Train on every image shard of the run, going on from the newest checkpoint; `images` only carries the edge."""
    del images
    spec, all_rooms = run.spec.encoder, rooms(run.spec, run.root)
    room, sources = all_rooms["encoder"], all_rooms["images"].shards
    with Visit(run, room, reads=all_rooms["images"]) as visit:
        visit.begin("steps", spec.steps, steps_done(room.folder))
        with engines(run, room, len(visit.missing)) as started:
            made = [
                train_in(engine, sources, address, spec, seed=run.spec.seed, run=visit.by)
                for engine, address in zip(started, visit.missing, strict=True)
            ]
        return seal(visit, made)
