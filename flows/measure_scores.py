"""Scores room: embedding shards in, one table of scores out."""

from prefect import flow

from data_specs.run import Run
from data_specs.shard import SealedRoom
from flows.addresses import rooms
from flows.walk_room import Visit, engines
from tasks.embeddings.plan import looks
from tasks.scores.measure import measure_in


@flow(name="scores", flow_run_name="scores of {run.name}")
def measure_scores(run: Run, embeddings: SealedRoom | None = None) -> SealedRoom:
    """Judge every encoder by every protocol; `embeddings` only carries the edge."""
    del embeddings
    all_rooms = rooms(run.spec, run.root)
    visit = Visit(run, all_rooms["scores"])
    visit.begin("tables", 1, 1 - len(visit.missing))
    if visit.missing:
        drawings = [look.seed for look in looks(run.spec.embeddings)]
        with engines(run, visit.room, 1) as [engine]:
            measure_in(
                engine, all_rooms["embeddings"].shards, drawings, visit.room.table, run.spec.scores, run=run.name
            )
    return visit.leave()
