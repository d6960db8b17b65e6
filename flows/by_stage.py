"""The whole walk as one flow run a room, each on a worker of its kind: the words of `synclr` in, nothing but their states out."""

from typing import Annotated, cast

from prefect import flow
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.runtime import flow_run
from pydantic import WithJsonSchema

from data_specs.errors import SynclrError
from data_specs.run import ROOMS
from flows.runs.request import Request
from flows.synclr import Knobs, Recipe, RoomName, Text


class RoomFailedError(SynclrError):
    """The flow run of one room did not complete; its own page says why."""


@flow(name="synclr-by-room", flow_run_name="{recipe}: {since} to {until}, room by room")
def synclr_by_room(
    recipe: Recipe = "tiny",
    name: Text = None,
    root: Text = None,
    since: RoomName = ROOMS[0],
    until: RoomName = ROOMS[-1],
    knobs: Annotated[Knobs | None, WithJsonSchema({"type": "object"})] = None,
) -> None:
    """Hand each room to its own deployment, one after the other; a retry finds what is sealed and goes on from there.

    Args:
        recipe: What to walk.
        name: Name of the run; empty is the recipe's.
        root: fsspec URL or shared folder that all workers see.
        since: First room to walk.
        until: Last room to walk.
        knobs: Knobs by room, for example {"captions": {"total": 4096}}; what is left out is as the recipe says.
    """
    asked = Request(recipe, name, root, since, until, None, knobs or {})
    asked.resolved()  # a wrong request ends here, not on some worker
    for room in asked.walked:
        later = ROOMS[ROOMS.index(room) + 1 :]
        turned = {part: knob for part, knob in asked.knobs.items() if part not in later}
        words = Request(recipe, name, root, room, room, None, turned).parameters()
        # One room run for each attempt, however often the request is sent. A retry asks anew: a failed room run stays failed,
        # and one that is still under way shares its shards.
        key = f"{flow_run.id}-{room}-{flow_run.run_count}"
        ended = cast(FlowRun, run_deployment(f"synclr/{room}", parameters=words, idempotency_key=key, poll_interval=5))
        if ended.state is None or not ended.state.is_completed():
            raise RoomFailedError(
                f"{room}: {ended.state.message if ended.state else 'no state'} (flow run {ended.name})"
            )
