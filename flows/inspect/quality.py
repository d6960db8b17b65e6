"""A run's name enters; what can be said of its pictures leaves: by shard, by concept, the best, the worst, the most alike.

Scores and attempts are read from the Parquet beside the shards; how alike siblings are is measured on pixels, of which a
few shards are opened. Nothing of it is stored: the same shards give the same figures.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from data_specs import image_group
from data_specs.errors import SpecError
from data_specs.image_group import ImageGroup, shown
from data_specs.shard import ShardAddress
from flows.inspect.contact_sheet import Row, contact_sheet
from flows.runs.folder import read_recipe
from flows.runs.resolve import rooms
from tasks import storage
from tasks.images.diversity import Diversity, diversity
from tasks.images.score_summary import Picture, Spread, by_concept, extremes, passed_over, pictures_of, spread
from tasks.shards import missing, read_rows, read_shard, require_sealed

MOST_PICTURES = 100_000
"""Whose records are read, in shards spread over a larger room."""
LOOKED_AT = 6
"""Shards whose pixels are compared, at most."""
SAMPLES = 64
"""Captions of each: a shard of a large run holds gigabytes, and its first samples are as good as any."""
EXTREMES = 12
COLUMNS = ["id", "text", "concept", "images", "passed_over", "scorer"]


@dataclass(frozen=True, slots=True)
class OfShard:
    """`redrawn` of its pictures are a later attempt, `passed_over` says why drawings of its captions were not kept.

    `siblings` is None where its pixels were not looked at.
    """

    shard: str
    captions: int
    pictures: int
    unsafe: int
    redrawn: int
    passed_over: dict[str, int]
    rejected: dict[str, int]
    fit: Spread | None
    siblings: Diversity | None


@dataclass(frozen=True, slots=True)
class Apart:
    """A caption, and the mean distance of its pictures."""

    key: str
    text: str
    distance: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Of `room` sealed shards those in `shards` were read. `fit` is how pictures fit their captions by what `scorer` says.

    Without a scorer there are no `values`, `concepts`, `best` and `worst`. `concepts` are worst first,
    `alike` and `unlike` captions of the shards whose pixels were compared.
    """

    room: int
    shards: tuple[OfShard, ...]
    scorer: str | None
    fit: Spread | None
    values: tuple[float, ...]
    concepts: tuple[tuple[str, Spread], ...]
    best: tuple[Picture, ...]
    worst: tuple[Picture, ...]
    alike: tuple[Apart, ...]
    unlike: tuple[Apart, ...]
    where: Mapping[str, ShardAddress]


def quality(root: str, name: str, look_at: int = LOOKED_AT) -> Quality:
    """Of the sealed image shards of a run, also while it walks. Raises SpecError if there is no such run, or none is sealed."""
    run, _ = read_recipe(root, name)
    room = rooms(run.spec, root)["images"]
    absent = set(missing(room.shards))
    if not (here := [address for address in room.shards if address not in absent]):
        raise SpecError(f"run {name!r} under {root!r} has no sealed pictures yet: run it with --until images")
    return quality_of(here, look_at)


def quality_of(sealed: Sequence[ShardAddress], look_at: int = LOOKED_AT) -> Quality:
    """The same of some sealed shards; `look_at` is how many are opened for their pixels, spread over those that are read."""
    read = _spread_over(sealed, _affordable(sealed))
    looked_at = {address.index: _siblings(address) for address in _spread_over(read, look_at)}
    rows = {address.index: _rows(address) for address in read}
    pictures = [picture for found in rows.values() for picture in pictures_of(found)]
    best, worst = extremes(pictures, EXTREMES)
    alike, unlike = _ends([one for _, found in looked_at.values() for one in found])
    named = {picture.caption for picture in (*best, *worst)} | {one.key for one in (*alike, *unlike)}
    return Quality(
        room=len(sealed),
        shards=tuple(
            _of_shard(address, rows[address.index], looked_at.get(address.index, (None, ()))[0]) for address in read
        ),
        scorer=next((row["scorer"]["id"] for found in rows.values() for row in found if row["scorer"]), None),
        fit=spread(pictures),
        values=tuple(picture.fit for picture in pictures if picture.fit is not None),
        concepts=tuple(by_concept(pictures)),
        best=tuple(best),
        worst=tuple(worst),
        alike=tuple(alike),
        unlike=tuple(unlike),
        where={row["id"]: address for address in read for row in rows[address.index] if row["id"] in named},
    )


def _affordable(sealed: Sequence[ShardAddress]) -> int:
    """How many shards hold `MOST_PICTURES`, by what the first one holds."""
    first = sum(len(row["images"]) for row in _rows(sealed[0])) if sealed else 0
    return max(1, MOST_PICTURES // max(1, first))


def _spread_over(addresses: Sequence[ShardAddress], most: int) -> list[ShardAddress]:
    count = min(most, len(addresses))
    return [addresses[number * len(addresses) // count] for number in range(count)]


def _rows(address: ShardAddress) -> list[dict[str, Any]]:
    table: pa.Table = read_rows(address, COLUMNS)
    found: list[dict[str, Any]] = table.to_pylist(maps_as_pydicts="strict")
    return found


def _siblings(address: ShardAddress) -> tuple[Diversity | None, list[Apart]]:
    groups = list(islice(read_shard(address, image_group.CONTRACT), SAMPLES))
    found = diversity(groups)
    apart = found.apart if found else ()
    return found, [Apart(g.caption.id, g.caption.text, d) for g, d in zip(groups, apart, strict=True)]


def _ends(found: list[Apart]) -> tuple[list[Apart], list[Apart]]:
    """The most alike and the most unlike, `EXTREMES` of each; no caption is both."""
    ranked = sorted(found, key=lambda one: (one.distance, one.key))
    most = min(EXTREMES, (len(ranked) + 1) // 2)
    return ranked[:most], ranked[most:][::-1][:most]


def _of_shard(address: ShardAddress, rows: Sequence[dict[str, Any]], siblings: Diversity | None) -> OfShard:
    manifest, pictures = require_sealed(address), list(pictures_of(rows))
    return OfShard(
        shard=address.stem,
        captions=manifest.accepted,
        pictures=len(pictures),
        unsafe=sum(picture.unsafe for picture in pictures),
        redrawn=sum(picture.attempt > 0 for picture in pictures),
        passed_over=passed_over(rows),
        rejected=manifest.rejected,
        fit=spread(pictures),
        siblings=siblings,
    )


def groups_of(keys: Iterable[str], where: Mapping[str, ShardAddress]) -> dict[str, ImageGroup]:
    """The captions of these ids with their pixels; each shard is opened once, and read as far as it must be."""
    wanted: dict[ShardAddress, set[str]] = {}
    found: dict[str, ImageGroup] = {}
    for key in keys:
        wanted.setdefault(where[key], set()).add(key)
    for address, ids in wanted.items():
        matching = (group for group in read_shard(address, image_group.CONTRACT) if group.caption.id in ids)
        found |= {group.caption.id: group for group in islice(matching, len(ids))}
    return found


def write_sheet(found: Quality, file: Path) -> None:
    """The best and the worst pictures; without a scorer the captions whose pictures are most alike and most unlike.

    Raises SpecError if there is nothing to show: no scorer, and no shard was looked at.
    """
    if not (rows := list(_sheet_rows(found))):
        raise SpecError("--output: no scorer was set and --look-at is 0, so nothing is best or worst; look at a shard")
    storage.write_bytes(str(file), contact_sheet(rows))


def _sheet_rows(found: Quality) -> Iterator[Row]:
    if found.fit:
        groups = groups_of((each.caption for each in (*found.best, *found.worst)), found.where)
        for what, pictures in (("best", found.best), ("worst", found.worst)):
            for each in pictures:
                note = f"{what}: {each.fit:.3f}, {each.key}"
                yield Row(each.text, note, [groups[each.caption].pixels[each.copy]])
    else:
        groups = groups_of((each.key for each in (*found.alike, *found.unlike)), found.where)
        for what, captions in (("most alike", found.alike), ("most unlike", found.unlike)):
            for one in captions:
                yield Row(one.text, f"{what}: {one.distance:.3f} apart, {one.key}", shown(groups[one.key]).pixels)


def as_json(found: Quality) -> dict[str, Any]:
    """Each picture and caption by its key, without what only a chart needs."""
    shards = []
    for row in found.shards:
        told = asdict(row)
        if row.siblings:
            del told["siblings"]["apart"]
        shards.append(told)
    return {
        "shards_sealed": found.room,
        "shards_read": len(found.shards),
        "scorer": found.scorer,
        "fit": asdict(found.fit) if found.fit else None,
        "shards": shards,
        "concepts": [{"concept": concept} | asdict(each) for concept, each in found.concepts],
        "best": [_told(each, found) for each in found.best],
        "worst": [_told(each, found) for each in found.worst],
        "alike": [asdict(each) for each in found.alike],
        "unlike": [asdict(each) for each in found.unlike],
    }


def _told(picture: Picture, found: Quality) -> dict[str, Any]:
    shard = found.where[picture.caption].stem
    return {"key": picture.key, "shard": shard, "concept": picture.concept, "text": picture.text} | {
        "attempt": picture.attempt,
        "fit": picture.fit,
    }
