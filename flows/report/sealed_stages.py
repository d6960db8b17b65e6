"""A run enters; leaves what its last walk sealed, room by room, without what an earlier recipe left behind."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from data_specs.run import ROOMS, Run
from data_specs.selection import SELECTION
from data_specs.shard import SealedRoom, ShardAddress
from flows.runs.folder import read_pointers
from flows.runs.lineages import Home
from flows.runs.resolve import lineage_knobs, selection_knobs
from tasks import storage
from tasks.shards import sealed

MOST_MANIFESTS = 1000
"""Read to learn a room's size on disk; of more shards, this many are taken and the rest is estimated."""


@dataclass(frozen=True, slots=True)
class Walked:
    """One room of the run. `seconds` is the time of the last walk that made something, `sealed.made` what it made.

    `engine_busy` is the share of that time for which its engines worked; None where nobody measured it.
    """

    home: Home
    sealed: SealedRoom
    seconds: float
    unix_time: float
    engine_busy: float | None = None

    @property
    def addresses(self) -> list[ShardAddress]:
        return [self.home.shard(index) for index in range(self.sealed.shards)]

    def spread(self, most: int) -> list[ShardAddress]:
        """At most `most` shards, evenly over the room."""
        count = min(most, self.sealed.shards)
        return [self.home.shard(number * self.sealed.shards // count) for number in range(count)]


def walked_rooms(run: Run) -> dict[str, Walked]:
    """In walking order, up to the first room that this recipe has not been through: what lies beyond is of another."""
    pointers, found = read_pointers(run), dict[str, Walked]()
    upstream = None
    for room in ROOMS:
        pointer = pointers.get(room)
        if pointer is None or (home := _home(run, room, pointer["lineage"])) is None:
            break
        knobs = json.loads(json.dumps(lineage_knobs(getattr(run.spec, room))))
        if home.facts["spec"] != knobs or home.facts["upstream"] != upstream:
            break
        if room == "images" and home.facts.get("selection") != selection_knobs(run.spec.captions):
            break
        summary = SealedRoom.model_validate({field: pointer[field] for field in SealedRoom.model_fields})
        seconds, moment = float(pointer["seconds"]), float(pointer["unix_time"])
        found[room] = Walked(home, summary, seconds, moment, pointer.get("engine_busy"))
        upstream = home.lineage
    return found


def selection_of(run: Run) -> dict[int, ShardAddress]:
    """The sealed tables of what is left out across shards, by index; empty where this recipe leaves nothing out."""
    pointers = read_pointers(run)
    if SELECTION not in pointers or "captions" not in pointers:
        return {}
    home = _home(run, SELECTION, pointers[SELECTION]["lineage"])
    knobs, upstream = selection_knobs(run.spec.captions), pointers["captions"]["lineage"]
    if home is None or home.facts["spec"] != knobs or home.facts["upstream"] != upstream:
        return {}
    return {address.index: address for address in home.shards()}


def _home(run: Run, room: str, lineage: str) -> Home | None:
    # From the root, not from the pointer's own folder: a root may be copied elsewhere and is still whole.
    folder = f"{run.root.rstrip('/')}/{room}/{lineage}"
    facts: bytes | None = storage.read_bytes(f"{folder}/lineage.json")
    return Home(room, lineage, folder, json.loads(facts), (run.name,)) if facts else None


def bytes_on_disk(room: Walked) -> tuple[int, bool]:
    """Size of what is sealed, an encoder's exports and training checkpoints included, and whether it is exact."""
    sizes = []
    for address in room.spread(MOST_MANIFESTS):
        if manifest := sealed(address):
            sizes.append(sum(file.bytes for file in manifest.files.values()))
    exact = len(sizes) == room.sealed.shards
    total = sum(sizes) if exact else round(sum(sizes) * room.sealed.shards / max(1, len(sizes)))
    return total + sum(_beside(room.home.folder)), exact


def _beside(folder: str) -> Iterator[int]:
    for place in ("encoder", "checkpoints"):
        for name in storage.names(f"{folder}/{place}"):
            try:
                with storage.open_read(f"{folder}/{place}/{name}") as stream:
                    yield stream.seek(0, 2)
            except FileNotFoundError:
                continue  # a training that goes on has replaced it meanwhile
