"""Images room: caption shards in, shards of complete image groups out."""

from prefect import flow

from data_specs.run import Run
from data_specs.shard import SealedRoom
from flows.addresses import rooms
from flows.visit import Visit
from flows.walk_room import walk_shards
from tasks.images.render import render_bundle


@flow(name="images", flow_run_name="images of {run.name}, {run.spec.images.per_caption} per caption")
def render_images(run: Run, captions: SealedRoom | None = None) -> SealedRoom:
    """Draw the pictures of every caption; `captions` only carries the edge from the room before into the run graph."""
    del captions
    spec, all_rooms = run.spec.images, rooms(run.spec, run.root)
    sources = all_rooms["captions"].shards
    with Visit(run, all_rooms["images"], reads=all_rooms["captions"]) as visit:
        return walk_shards(
            visit,
            "images",
            run.spec.captions.per_shard * spec.per_caption,
            lambda bundle, engine: render_bundle.submit(
                [sources[address.index] for address in bundle], bundle, spec, engine, seed=run.spec.seed, run=visit.by
            ),
        )
