"""Scores room: embedding shards in, a table of scores for each out."""

from prefect import flow

from data_specs.run import ListedSource, Run
from data_specs.shard import SealedRoom
from flows.execution.run_bundles import walk_shards
from flows.execution.stage_run import Visit
from flows.runs.resolve import rooms
from tasks.embeddings.jobs import looks, metric_of
from tasks.scores.measure import Exam, measure_bundle


@flow(name="scores", flow_run_name="scores of {run.name}")
def measure_scores(run: Run, embeddings: SealedRoom | None = None) -> SealedRoom:
    """Judge every encoder by every protocol; `embeddings` only carries the edge."""
    del embeddings
    all_rooms = rooms(run.spec, run.root)
    sources, concepts = all_rooms["embeddings"].shards, all_rooms["concepts"].table
    appended = tuple(sorted({one.append for one in run.spec.concepts.sources if isinstance(one, ListedSource)} - {""}))
    exams = [Exam(look.seed, metric_of(run.spec.embeddings, look.benchmark), appended) for look in looks(run.spec)]
    with Visit(run, all_rooms["scores"], reads=all_rooms["embeddings"]) as visit:
        return walk_shards(
            visit,
            "tables",
            1,
            lambda bundle, engine: measure_bundle.submit(
                sources, exams, concepts, bundle, run.spec.scores, engine, run=visit.by, return_state=False
            ),
        )
