"""A run's name enters; what each of its rooms has made, refused and become stale by leaves."""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from data_specs.errors import SpecError
from data_specs.run import ROOMS, Run, RunSpec
from data_specs.shard import SealedRoom
from flows.runs.folder import read_pointers, read_recipe
from flows.runs.recipes import resolve
from flows.runs.resolve import Room, differences, rooms
from flows.runs.throughput import per_second
from tasks import storage
from tasks.shards import all_sealed


@dataclass(frozen=True, slots=True)
class RoomStatus:
    """`stale` names the fields by which this room differs from what the run made before, or from its recipe as it is now.

    `seconds`, `per_second` (records, pictures in images) and `engine_busy` are of its last walk that made something.
    """

    room: str
    lineage: str
    made: int
    planned: int
    accepted: int
    rejected: dict[str, int]
    stale: tuple[str, ...]
    seconds: float | None = None
    per_second: float | None = None
    engine_busy: float | None = None

    @property
    def finished(self) -> bool:
        return self.made == self.planned and not self.stale


def runs(root: str) -> list[str]:
    return [entry for entry in storage.names(f"{root.rstrip('/')}/runs") if not entry.startswith(".")]


def status(root: str, name: str) -> list[RoomStatus]:
    """Raises SpecError if there is no such run."""
    run, source = read_recipe(root, name)
    now = _current(run, source)
    wanted = rooms(now.spec, root)
    pointers = read_pointers(run)
    return [_room_status(wanted[name], pointers.get(name), now.spec) for name in ROOMS]


def _current(run: Run, source: dict[str, Any]) -> Run:
    """The run as its recipe would be resolved today: a recipe edited since the walk shows as stale rooms."""
    try:
        return run.model_copy(update={"spec": resolve(source["recipe"], source["knobs"])})
    except SpecError:
        return run  # the recipe's file is gone: what was resolved then still stands


def _room_status(room: Room, pointer: dict[str, Any] | None, spec: RunSpec) -> RoomStatus:
    manifests = [manifest for manifest in all_sealed(room.shards) if manifest]
    rejected: Counter[str] = Counter()
    for manifest in manifests:
        rejected.update(manifest.rejected)
    return RoomStatus(
        room.name,
        room.lineage,
        len(manifests),
        len(room.shards),
        sum(manifest.accepted for manifest in manifests),
        dict(sorted(rejected.items())),
        tuple(stale_fields(room, pointer)),
        *_pace(room, pointer, spec),
    )


def _pace(room: Room, pointer: dict[str, Any] | None, spec: RunSpec) -> tuple[float | None, float | None, float | None]:
    if pointer is None or pointer["lineage"] != room.lineage:
        return None, None, None
    sealed = SealedRoom.model_validate({field: pointer[field] for field in SealedRoom.model_fields})
    return pointer["seconds"], per_second(sealed, pointer["seconds"], spec), pointer.get("engine_busy")


def stale_fields(room: Room, pointer: dict[str, Any] | None) -> list[str]:
    """Empty if the run has no such room yet, or points at this very lineage."""
    if pointer is None or pointer["lineage"] == room.lineage:
        return []
    text = storage.read_bytes(f"{pointer['folder']}/lineage.json")
    return list(differences(json.loads(text), room.facts)) if text else ["its lineage.json is missing"]


def as_json(rows: list[RoomStatus]) -> list[dict[str, Any]]:
    return [asdict(row) | {"finished": row.finished} for row in rows]
