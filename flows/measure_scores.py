"""Scores room: embedding shards in, one table of scores out."""

from prefect import flow

from data_specs.run import Run
from data_specs.shard import SealedRoom
from flows.addresses import rooms
from flows.seal_room import seal
from flows.visit import Visit
from flows.walk_room import engines
from tasks.embeddings.plan import looks, metric_of
from tasks.scores.measure import Exam, measure_in


@flow(name="scores", flow_run_name="scores of {run.name}")
def measure_scores(run: Run, embeddings: SealedRoom | None = None) -> SealedRoom:
    """Judge every encoder by every protocol; `embeddings` only carries the edge."""
    del embeddings
    all_rooms = rooms(run.spec, run.root)
    sources, concepts = all_rooms["embeddings"].shards, all_rooms["concepts"].table
    exams = [Exam(look.seed, metric_of(run.spec.embeddings, look.benchmark)) for look in looks(run.spec)]
    with Visit(run, all_rooms["scores"], reads=all_rooms["embeddings"]) as visit:
        visit.begin("tables", 1, 1 - len(visit.missing))
        with engines(run, visit.room, len(visit.missing)) as started:
            made = [
                measure_in(engine, sources, exams, concepts, address, run.spec.scores, run=visit.by)
                for engine, address in zip(started, visit.missing, strict=True)
            ]
        return seal(visit, made)
