"""The folder of a run, `<root>/runs/<name>/`: its resolved recipe, pointers to its rooms, events, logs and report."""

import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from data_specs.errors import ContractError, SpecError
from data_specs.run import Run, RunSpec
from data_specs.shard import SealedRoom
from flows.runs.resolve import Room
from tasks import storage
from tasks.shards import require_all_sealed


def folder(run: Run) -> str:
    return f"{run.root.rstrip('/')}/runs/{run.name}"


def log_folder(run: Run) -> Path:
    """Where engines write what they print: beside the run if the root is local, since logs grow line by line."""
    if storage.is_local(run.root):
        return storage.local_path(folder(run)) / "logs"
    return Path(tempfile.gettempdir()) / f"synclr-logs-{run.name}"


def write_recipe(run: Run, source: dict[str, Any]) -> None:
    """The resolved recipe, and what it was resolved from (`recipe`, `set`), before the first shard."""
    text = json.dumps({"source": source, "spec": run.spec.model_dump(mode="json")}, indent=2)
    storage.write_bytes(f"{folder(run)}/recipe.json", text.encode())


def read_recipe(root: str, name: str) -> tuple[Run, dict[str, Any]]:
    """Raises SpecError if there is no such run."""
    text = storage.read_bytes(f"{root.rstrip('/')}/runs/{name}/recipe.json")
    if text is None:
        here = [entry for entry in storage.names(f"{root.rstrip('/')}/runs") if not entry.startswith(".")]
        raise SpecError(f"there is no run {name!r} under {root!r}; runs here: {', '.join(here) or 'none'}")
    try:
        stored = json.loads(text)
        return Run(name=name, root=root, spec=RunSpec.model_validate(stored["spec"])), stored["source"]
    except (ValueError, KeyError) as error:
        raise ContractError(f"{root}/runs/{name}/recipe.json was written by another version: run it again") from error


def read_pointers(run: Run) -> dict[str, dict[str, Any]]:
    """Room -> what its last walk sealed (`SealedRoom`), with `seconds` and `unix_time`."""
    text = storage.read_bytes(f"{folder(run)}/rooms.json")
    return json.loads(text) if text else {}


def summarise(room: Room, made: int) -> SealedRoom:
    """Raises ContractError if a shard of the room is not sealed."""
    manifests = require_all_sealed(room.shards)
    rejected: Counter[str] = Counter()
    for manifest in manifests:
        rejected.update(manifest.rejected)
    return SealedRoom(
        room=room.name,
        lineage=room.lineage,
        folder=room.folder,
        shards=len(manifests),
        accepted=sum(manifest.accepted for manifest in manifests),
        rejected=dict(sorted(rejected.items())),
        made=made,
    )


def point(run: Run, sealed: SealedRoom, seconds: float, engine_busy: float | None = None) -> None:
    """Note that a room of this run is done. The rate of a walk that made something outlives walks that made nothing.

    `engine_busy` is the share of their time for which the engines worked.
    """
    pointers = read_pointers(run)
    known = pointers.get(sealed.room, {})
    entry = sealed.model_dump() | {"seconds": round(seconds, 2), "unix_time": round(time.time(), 2)}
    if engine_busy is not None:
        entry["engine_busy"] = round(engine_busy, 4)
    if sealed.made == 0 and known.get("lineage") == sealed.lineage:
        entry |= {key: known[key] for key in ("made", "seconds", "unix_time", "engine_busy") if key in known}
    storage.write_bytes(f"{folder(run)}/rooms.json", json.dumps(pointers | {sealed.room: entry}, indent=2).encode())
