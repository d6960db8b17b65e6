"""The end of a visit enters; the sealed room leaves, as one node of the run graph on which the room's artifacts hang."""

from collections.abc import Sequence
from typing import Any

from prefect.assets import Asset, AssetProperties, add_asset_metadata, materialize
from prefect.cache_policies import NO_CACHE

from data_specs.shard import SealedRoom
from flows.artifacts.publish import publish_room
from flows.execution.stage_run import Visit
from flows.runs.resolve import Room


def seal(visit: Visit, made: Sequence[Any]) -> SealedRoom:
    """`made` are futures or results of what worked in this room: their edges lead to the seal, and from it onwards.

    Only after every future was asked for its result: Prefect would run this with None in place of one that failed.
    """
    sealing = _seal.with_options(
        name=f"seal the {visit.room.name} room",
        assets=[_asset(visit.room)],
        # By name, since Prefect follows assets within one flow only, and each room is a flow of its own.
        asset_deps=[_key(visit.reads)] if visit.reads else [],
    )
    return sealing(visit, made)


@materialize("synclr://room/lineage", name="seal a room", cache_policy=NO_CACHE)
def _seal(visit: Visit, made: Sequence[Any]) -> SealedRoom:
    del made  # carries the edges
    summary = visit.leave()
    add_asset_metadata(_key(visit.room), summary.model_dump(include={"shards", "accepted", "rejected", "made"}))
    publish_room(visit, summary)
    return summary


def _key(room: Room) -> str:
    return f"synclr://{room.name}/{room.lineage}"


def _asset(room: Room) -> Asset:
    described = f"The {room.name} room of lineage {room.lineage}, sealed under {room.folder}"
    return Asset(key=_key(room), properties=AssetProperties(name=f"{room.name} {room.lineage}", description=described))
