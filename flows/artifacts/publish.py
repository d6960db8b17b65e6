"""A visit and what it sealed enter; the room's artifacts stand on the server, under keys that are the same every time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from prefect.artifacts import (
    Artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.client.schemas.objects import Artifact as ArtifactResponse

from data_specs.run import Run
from data_specs.shard import SealedRoom
from flows.artifacts import tables
from flows.artifacts.image_sheet import picture_sheet
from flows.artifacts.keys import key
from flows.artifacts.lineage_page import lineage_page, with_seen_by
from flows.execution.stage_run import Visit
from flows.report.sealed_stages import Walked
from flows.runs.lineages import Home
from flows.runs.resolve import rooms
from tasks.events import Said, tell


def publish_room(visit: Visit, sealed: SealedRoom) -> None:
    """What is shown of a room never fails it: whatever goes wrong here is said once, and the room stays sealed."""
    with only_said(f"{sealed.room}: its artifacts"):
        _publish(visit, sealed)


@contextmanager
def only_said(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the server's or the network's: none of it is worth a sealed room
        tell(Said(f"{what} could not be written: {type(error).__name__}: {error}"))


def _publish(visit: Visit, sealed: SealedRoom) -> None:
    name, room = visit.run.name, visit.room
    said = f"{sealed.shards:,} shards, {sealed.made:,} made now, {sealed.shards - sealed.made:,} taken over"
    create_markdown_artifact(
        lineage_page(visit, sealed), key(name, room.name, "lineage"), f"{room.name} of {name}: lineage; {said}"
    )
    walked = _walked(visit, sealed)
    create_table_artifact(
        tables.counts(walked, visit.run.spec), key(name, room.name, "counts"), f"{room.name} of {name}: counts"
    )
    match room.name:
        case "captions":
            page, described = tables.captions_page(walked), f"captions of {name}: some of each strategy"
            create_markdown_artifact(page, key(name, room.name, "samples"), described)
        case "images":
            if sheet := picture_sheet(walked):
                described = f"images of {name}: captions with their pictures"
                # As Markdown: the page of an image artifact prints its address too, all 150 kB of it.
                create_markdown_artifact(f"![{described}]({sheet})", key(name, room.name, "sheet"), described)
        case "encoder":
            _tell_the_images(visit.run)
        case "scores":
            rows = tables.scores(walked)
            create_table_artifact(rows, key(name, room.name, "table"), f"scores of {name}, beside what they must beat")


def _walked(visit: Visit, sealed: SealedRoom) -> Walked:
    room = visit.room
    home = Home(room.name, room.lineage, room.folder, room.facts, (visit.run.name,))
    return Walked(home, sealed, visit.seconds, time.time(), visit.engine_busy)


def _tell_the_images(run: Run) -> None:
    """The page of the image shards was written before this encoder: it names now who has seen them."""
    shown = cast(ArtifactResponse | None, Artifact.get(key(run.name, "images", "lineage")))
    images = rooms(run.spec, run.root)["images"]
    if shown is None or images.lineage not in str(shown.data):
        return  # the images were sealed without a server, or for another recipe
    with get_client(sync_client=True) as client:
        page = with_seen_by(str(shown.data), run.root, images)
        client.update_artifact(shown.id, ArtifactUpdate(data=page))
