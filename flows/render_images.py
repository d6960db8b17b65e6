"""Images room: caption shards in, shards of complete image groups out."""

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from data_specs.run import Run
from data_specs.selection import SELECTION
from data_specs.shard import SealedRoom
from flows.execution.run_bundles import walk_shards
from flows.execution.select_captions import select_captions
from flows.execution.stage_run import Visit
from flows.inspect.long_captions import long_captions
from flows.runs.resolve import rooms
from tasks.events import Said, tell
from tasks.images.render import Work, render_bundle
from tasks.shards import missing

select = task(name="select captions across shards", cache_policy=NO_CACHE)(select_captions)


@flow(name="images", flow_run_name="images of {run.name}, {run.spec.images.per_caption} per caption")
def render_images(run: Run, captions: SealedRoom | None = None) -> SealedRoom:
    """Draw the pictures of every caption; `captions` only carries the edge from the room before into the run graph."""
    del captions
    spec, all_rooms = run.spec.images, rooms(run.spec, run.root)
    sources = all_rooms["captions"].shards
    with Visit(run, all_rooms["images"], reads=all_rooms["captions"]) as visit:
        selections = all_rooms[SELECTION].shards if SELECTION in all_rooms else ()
        absent = missing(selections)
        if selections and (visit.missing or not absent):
            # A task only where there is work for it: a graph shows what was done. Without, the run is pointed at them.
            (select if absent else select_captions)(run, visit.by)
        sealed = walk_shards(
            visit,
            "images",
            run.spec.captions.per_shard * spec.per_caption,
            lambda bundle, engine: render_bundle.submit(
                [
                    Work(sources[address.index], selections[address.index] if selections else None, address)
                    for address in bundle
                ],
                spec,
                engine,
                seed=run.spec.seed,
                run=visit.by,
            ),
        )
        if (long := long_captions(visit.room.shards)).count:
            tell(Said(str(long)))
        return sealed
