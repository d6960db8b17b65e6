"""The whole walk: a run's recipe in; concepts, captions, images, an encoder, embeddings and scores out."""

from prefect import flow

from data_specs.run import ROOMS, Run
from data_specs.shard import SealedRoom
from flows.compose_captions import compose_captions
from flows.extract_embeddings import extract_embeddings
from flows.ingest_concepts import ingest_concepts
from flows.measure_scores import measure_scores
from flows.render_images import render_images
from flows.train_encoder import train_encoder


@flow(name="synclr", flow_run_name="synclr {run.name}")
def synclr(run: Run, until: str = ROOMS[-1]) -> SealedRoom:
    """Six rooms in a straight line; what is sealed already is taken over, and `until` names the last room to walk."""
    sealed = ingest_concepts(run)
    for room, walk in (
        ("captions", compose_captions),
        ("images", render_images),
        ("encoder", train_encoder),
        ("embeddings", extract_embeddings),
        ("scores", measure_scores),
    ):
        if ROOMS.index(room) > ROOMS.index(until):
            break
        sealed = walk(run, sealed)
    return sealed
