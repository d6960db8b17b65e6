"""A root enters; what lies under it leaves: every lineage of a room, which runs point at it, and where a key is kept."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from data_specs.errors import SpecError
from data_specs.run import ROOMS
from data_specs.selection import SELECTION
from data_specs.shard import ShardAddress
from tasks import storage
from tasks.shards import read_rows, sealed


@dataclass(frozen=True, slots=True)
class Home:
    """One lineage of one room: `facts` are what it is the digest of; `runs` are those that point at it, newest first."""

    room: str
    lineage: str
    folder: str
    facts: dict[str, Any]
    runs: tuple[str, ...]

    def shards(self) -> Iterator[ShardAddress]:
        """Those that are sealed, in order."""
        pattern = re.compile(rf"{self.room}-(\d+)\.json")
        for entry in storage.names(self.folder):
            if found := pattern.fullmatch(entry):
                yield self.shard(int(found[1]))

    def shard(self, index: int) -> ShardAddress:
        return ShardAddress(folder=self.folder, room=self.room, lineage=self.lineage, index=index)


@dataclass(frozen=True, slots=True)
class Found:
    """A metadata row, and where it stands."""

    home: Home
    address: ShardAddress
    row: dict[str, Any]


def homes(root: str, room: str, name: str | None = None) -> list[Home]:
    """The lineages of a room: those of the newest run first, those of no run last. `name`: only that run's.

    Raises SpecError for a run that is not there.
    """
    runs = _runs(root)
    if name is not None and name not in runs:
        raise SpecError(f"there is no run {name!r} under {root!r}; runs here: {', '.join(sorted(runs)) or 'none'}")
    newest = sorted(runs, key=lambda run: (-_age(runs[run]), run))
    found = []
    for lineage in storage.names(f"{root.rstrip('/')}/{room}"):
        folder = f"{root.rstrip('/')}/{room}/{lineage}"
        facts = storage.read_bytes(f"{folder}/lineage.json")
        if facts is None:
            continue
        pointing = tuple(run for run in newest if runs[run].get(room, {}).get("lineage") == lineage)
        if name is None or name in pointing:
            found.append(Home(room, lineage, folder, json.loads(facts), pointing))
    return sorted(found, key=lambda home: newest.index(home.runs[0]) if home.runs else len(newest))


def home_of(root: str, room: str, lineage: str) -> Home | None:
    return next((home for home in homes(root, room) if home.lineage == lineage), None)


def find(where: list[Home], column: str, value: str) -> Iterator[Found]:
    """Rows whose `column` is `value`, at most one a lineage, read from the Parquet beside the shards: no tar is opened."""
    for home in where:
        yield from _first(home, column, value)


def _first(home: Home, column: str, value: str) -> Iterator[Found]:
    for address in home.shards():
        table = read_rows(address)
        for row in _dicts(table.filter(pc.equal(table[column], value)).slice(0, 1)):
            yield Found(home, address, row)
            return


def rows(address: ShardAddress) -> list[dict[str, Any]]:
    """The metadata of a shard as JSON-able dicts."""
    return _dicts(read_rows(address))


def _dicts(table: pa.Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table.to_pylist(maps_as_pydicts="strict")
    return found


def whereabouts(address: ShardAddress) -> dict[str, Any]:
    """What a person needs to find a shard and know who made it: `made` is None where that was lost."""
    manifest = sealed(address)
    made = storage.read_bytes(address.file("made.json"))
    tar = manifest.files.get("tar", manifest.files["parquet"]) if manifest else None
    return {
        "room": address.room,
        "shard": address.stem,
        "lineage": address.lineage,
        "folder": address.folder,
        "sha256": tar.sha256 if tar else None,
        "made": json.loads(made) if made else None,
    }


def _runs(root: str) -> dict[str, dict[str, Any]]:
    """Run -> room -> its pointer; a run that sealed no room yet has none."""
    folder = f"{root.rstrip('/')}/runs"
    found = {}
    for name in storage.names(folder):
        if storage.read_bytes(f"{folder}/{name}/recipe.json") is not None:
            found[name] = json.loads(storage.read_bytes(f"{folder}/{name}/rooms.json") or b"{}")
    return found


def _age(pointers: dict[str, Any]) -> float:
    return max((float(pointer.get("unix_time", 0)) for pointer in pointers.values()), default=0.0)


def room_of(stem: str) -> tuple[str, int] | None:
    """`images-000003` -> (`images`, 3); None for what is no shard's stem."""
    found = re.fullmatch(rf"({'|'.join(('backgrounds', *ROOMS, SELECTION))})-(\d{{6,}})", stem)
    return (found[1], int(found[2])) if found else None
