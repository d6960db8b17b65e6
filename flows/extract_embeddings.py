"""Embeddings room: the encoder and the benchmarks in, embedding shards out."""

import os

from prefect import flow

from data_specs.run import Run
from data_specs.shard import SealedRoom
from flows.execution.run_bundles import engines, walk_shards
from flows.execution.stage_run import Visit
from flows.runs.resolve import rooms
from tasks.embeddings.extract import draw_benchmarks, extract_bundle
from tasks.embeddings.jobs import looks


@flow(name="embeddings", flow_run_name="embeddings of {run.name}")
def extract_embeddings(run: Run, encoder: SealedRoom | None = None) -> SealedRoom:
    """Show the benchmarks to the encoder and to what it must beat; `encoder` only carries the edge."""
    del encoder
    spec, all_rooms = run.spec.embeddings, rooms(run.spec, run.root)
    trained, plan = all_rooms["encoder"].table, looks(run.spec)
    with Visit(run, all_rooms["embeddings"], reads=all_rooms["encoder"]) as visit:
        drawn = []
        if visit.missing:
            with engines(run, visit.room, os.cpu_count() or 1) as drawing:
                drawn = [draw_benchmarks.submit(run.root, spec, drawing, run=visit.by)]
                drawn[0].result()
        return walk_shards(
            visit,
            "shards",
            1,
            lambda bundle, engine: extract_bundle.submit(
                trained,
                run.root,
                bundle,
                plan,
                spec,
                engine,
                seed=run.spec.seed,
                run=visit.by,
                wait_for=drawn,
                return_state=False,
            ),
        )
