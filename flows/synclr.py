"""The whole walk: what was asked for in; concepts, captions, images, an encoder, embeddings and scores out."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from prefect.runtime import deployment, flow_run
from pydantic import WithJsonSchema

from data_specs.errors import SpecError
from data_specs.run import ROOMS, Run
from data_specs.shard import SealedRoom
from flows.artifacts.run_page import publish_run
from flows.compose_captions import compose_captions
from flows.extract_embeddings import extract_embeddings
from flows.ingest_concepts import ingest_concepts
from flows.measure_scores import measure_scores
from flows.render_images import render_images
from flows.report import write_report
from flows.runs import recipes
from flows.runs.folder import summarise
from flows.runs.request import Request, form
from flows.server.plain_errors import log_plainly
from flows.server.recovery import own_up, recover
from flows.train_encoder import train_encoder
from tasks import storage

WALKS: dict[str, Callable[..., SealedRoom]] = {
    "concepts": ingest_concepts,
    "captions": compose_captions,
    "images": render_images,
    "encoder": train_encoder,
    "embeddings": extract_embeddings,
    "scores": measure_scores,
}
Knobs = dict[str, Any]
# None where nothing was said, which no form is to show as a choice.
Text = Annotated[str | None, WithJsonSchema({"type": "string"})]
Count = Annotated[int | None, WithJsonSchema({"type": "integer", "minimum": 0})]
Recipe = Annotated[str, WithJsonSchema({"type": "string", "enum": recipes.names()})]
RoomName = Annotated[str, WithJsonSchema({"type": "string", "enum": list(ROOMS)})]


def _called() -> str:
    asked = flow_run.parameters
    return f"{asked.get('name') or Path(asked['recipe']).stem}: {asked['since']} to {asked['until']}"


@flow(name="synclr", flow_run_name=_called)
def synclr(
    recipe: Recipe = "tiny",
    name: Text = None,
    grow: Count = None,
    since: RoomName = ROOMS[0],
    until: RoomName = ROOMS[-1],
    root: Text = None,
    seed: Count = None,
    execution: Annotated[Knobs | None, WithJsonSchema(form("execution"))] = None,
    concepts: Annotated[Knobs | None, WithJsonSchema(form("concepts"))] = None,
    captions: Annotated[Knobs | None, WithJsonSchema(form("captions"))] = None,
    images: Annotated[Knobs | None, WithJsonSchema(form("images"))] = None,
    encoder: Annotated[Knobs | None, WithJsonSchema(form("encoder"))] = None,
    embeddings: Annotated[Knobs | None, WithJsonSchema(form("embeddings"))] = None,
    scores: Annotated[Knobs | None, WithJsonSchema(form("scores"))] = None,
) -> SealedRoom:
    """Concepts, captions, images, encoder, embeddings, scores: six rooms in a straight line.

    What is sealed already is taken over, so the same run goes on where it was stopped. Knobs that are left empty are as
    the recipe says.

    Args:
        recipe: What to walk.
        name: Name of the run, under which status, report and growth are kept; empty: the recipe's.
        grow: Captions to add to what the run has; 0 keeps its size; empty: as many as the recipe says.
        since: First room to walk; the rooms before must be sealed.
        until: Last room to walk.
        root: Folder or fsspec URL (s3://...) of all outputs; empty: SYNCLR_ROOT of the worker.
        seed: From which every other seed follows.
        execution: How many engines share a machine; changes nothing of what is made.
        concepts: Which names, and how often each is drawn.
        captions: How sentences are written about them.
        images: How captions are drawn.
        encoder: How the encoder learns.
        embeddings: Which benchmarks are looked at.
        scores: How embeddings are judged.
    """
    log_plainly()
    own_up()
    recover()
    turned = {"seed": seed, "concepts": concepts, "captions": captions, "images": images, "encoder": encoder}
    turned |= {"embeddings": embeddings, "scores": scores, "execution": execution}
    turned = {room: knobs for room, knobs in turned.items() if knobs not in (None, {})}
    asked = Request(recipe, name, root, since, until, grow, turned).grown(asked_by=str(flow_run.id))
    run = asked.resolved()
    _require_lasting(run)
    wanted = asked.preflight(run)
    asked.begin(run, wanted)
    before = ROOMS[: ROOMS.index(since)]
    done = summarise(wanted[before[-1]], made=0) if before else None
    for room in asked.walked:
        done = WALKS[room](run, done) if done else WALKS[room](run)
    publish_run(run, write_report(run))
    assert done is not None
    return done


def _require_lasting(run: Run) -> None:
    """A worker's working folder may be gone with the flow run, and everything in it."""
    if deployment.id and storage.is_local(run.root) and not storage.local_path(run.root).is_absolute():
        raise SpecError(
            f"root {run.root!r} is relative to the worker's folder {Path.cwd()}; give an absolute root or s3://..., or start "
            "the worker with SYNCLR_ROOT"
        )
