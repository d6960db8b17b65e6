"""Encoder room: image shards in, checkpoints and one exported encoder out."""

from prefect import flow

from data_specs.run import Run
from data_specs.shard import SealedRoom
from flows.addresses import rooms
from flows.walk_room import Visit, engines
from tasks.encoder.train import steps_done, train_in


@flow(name="encoder", flow_run_name="encoder of {run.name}")
def train_encoder(run: Run, images: SealedRoom | None = None) -> SealedRoom:
    """Train on every image shard of the run, going on from the newest checkpoint; `images` only carries the edge."""
    del images
    spec, all_rooms = run.spec.encoder, rooms(run.spec, run.root)
    room = all_rooms["encoder"]
    visit = Visit(run, room)
    visit.begin("steps", spec.steps, steps_done(room.table))
    if visit.missing:
        with engines(run, room, 1) as [engine]:
            train_in(engine, all_rooms["images"].shards, room.table, spec, seed=run.spec.seed, run=run.name)
    return visit.leave()
