"""Measure the images of a run: by shard, by concept, the best, the worst, those most and least like their siblings.

Scores and attempts are read from the Parquet beside the shards; how alike siblings are is measured on the pixels of a few
shards. Nothing of it is stored: the same shards give the same figures.
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
from flows.runs.plan import read_plan
from tasks import storage
from tasks.images.diversity import Diversity, diversity
from tasks.images.score_summary import ImageScore, Spread, by_concept, extremes, images_of, passed_over, spread
from tasks.shards import read_rows, read_shard, require_sealed, sealed_shards

MOST_IMAGES = 100_000
"""Whose records are read, in shards spread over a larger stage."""
LOOKED_AT = 6
"""Shards whose pixels are compared, at most."""
SAMPLES = 64
"""Captions of each: a shard of a large run holds gigabytes, and its first samples are as good as any."""
EXTREMES = 12
COLUMNS = ["id", "text", "concept", "images", "passed_over", "scorer"]


@dataclass(frozen=True, slots=True)
class OfShard:
    """Figures of one shard. `redrawn` of its images are a later attempt; `passed_over` counts renderings that were not kept.

    `passed_over` and `rejected` count by reason. `siblings` is None where its pixels were not read.
    """

    shard: str
    captions: int
    images: int
    unsafe: int
    redrawn: int
    passed_over: dict[str, int]
    rejected: dict[str, int]
    fit: Spread | None
    siblings: Diversity | None


@dataclass(frozen=True, slots=True)
class Apart:
    """A caption, and the mean distance of its images."""

    key: str
    text: str
    distance: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures of the `shards` that were read, of `sealed_shards`. `fit` is how well images fit their captions, by `scorer`.

    Without a scorer there are no `values`, `concepts`, `best` and `worst`. `concepts` are worst first; `alike` and `unlike`
    are captions of the shards whose pixels were compared. `where` maps every caption that is named to its shard.
    """

    sealed_shards: int
    shards: tuple[OfShard, ...]
    scorer: str | None
    fit: Spread | None
    values: tuple[float, ...]
    concepts: tuple[tuple[str, Spread], ...]
    best: tuple[ImageScore, ...]
    worst: tuple[ImageScore, ...]
    alike: tuple[Apart, ...]
    unlike: tuple[Apart, ...]
    where: Mapping[str, ShardAddress]


def quality(root: str, name: str, look_at: int = LOOKED_AT) -> Quality:
    """Measure the sealed image shards of a run, also while it runs; `look_at` of them are opened for their pixels.

    Raises SpecError if there is no such run, or no shard is sealed.
    """
    found = sealed_shards(read_plan(root, name).stages["images"])
    if not found:
        raise SpecError(f"run {name!r} under {root!r} has no sealed images yet: run it with --until images")
    return quality_of(found, look_at)


def quality_of(sealed: Sequence[ShardAddress], look_at: int = LOOKED_AT) -> Quality:
    """Measure some sealed shards; `look_at` of those that are read, spread over them, are opened for their pixels."""
    read = _spread_over(sealed, _affordable(sealed))
    compared = {address.index: _siblings(address) for address in _spread_over(read, look_at)}
    rows = {address.index: _rows(address) for address in read}
    images = [image for found in rows.values() for image in images_of(found)]
    best, worst = extremes(images, EXTREMES)
    alike, unlike = _ends([one for _, found in compared.values() for one in found])
    named = {image.caption for image in (*best, *worst)} | {one.key for one in (*alike, *unlike)}
    return Quality(
        sealed_shards=len(sealed),
        shards=tuple(
            _of_shard(address, rows[address.index], compared.get(address.index, (None, ()))[0]) for address in read
        ),
        scorer=next((row["scorer"]["id"] for found in rows.values() for row in found if row["scorer"]), None),
        fit=spread(images),
        values=tuple(image.fit for image in images if image.fit is not None),
        concepts=tuple(by_concept(images)),
        best=tuple(best),
        worst=tuple(worst),
        alike=tuple(alike),
        unlike=tuple(unlike),
        where={row["id"]: address for address in read for row in rows[address.index] if row["id"] in named},
    )


def _affordable(sealed: Sequence[ShardAddress]) -> int:
    """How many shards hold `MOST_IMAGES`, by what the first one holds."""
    first = sum(len(row["images"]) for row in _rows(sealed[0])) if sealed else 0
    return max(1, MOST_IMAGES // max(1, first))


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
    """The captions with the nearest and with the farthest siblings, `EXTREMES` of each; no caption is both."""
    ranked = sorted(found, key=lambda one: (one.distance, one.key))
    most = min(EXTREMES, (len(ranked) + 1) // 2)
    return ranked[:most], ranked[most:][::-1][:most]


def _of_shard(address: ShardAddress, rows: Sequence[dict[str, Any]], siblings: Diversity | None) -> OfShard:
    manifest, images = require_sealed(address), list(images_of(rows))
    return OfShard(
        shard=address.stem,
        captions=manifest.accepted,
        images=len(images),
        unsafe=sum(image.unsafe for image in images),
        redrawn=sum(image.attempt > 0 for image in images),
        passed_over=passed_over(rows),
        rejected=manifest.rejected,
        fit=spread(images),
        siblings=siblings,
    )


def groups_of(keys: Iterable[str], where: Mapping[str, ShardAddress]) -> dict[str, ImageGroup]:
    """Caption id -> its group with pixels. Each shard is opened once, and read up to the last caption that is wanted."""
    wanted: dict[ShardAddress, set[str]] = {}
    found: dict[str, ImageGroup] = {}
    for key in keys:
        wanted.setdefault(where[key], set()).add(key)
    for address, ids in wanted.items():
        matching = (group for group in read_shard(address, image_group.CONTRACT) if group.caption.id in ids)
        found |= {group.caption.id: group for group in islice(matching, len(ids))}
    return found


def write_sheet(found: Quality, file: Path) -> None:
    """Write a contact sheet (PNG) of the best and worst images; without a scorer, of the most and least alike siblings.

    Raises SpecError if there is nothing to show: no scorer, and no shard was opened for its pixels.
    """
    if not (rows := list(_sheet_rows(found))):
        raise SpecError("--output: no scorer was set and --look-at is 0, so nothing is best or worst; look at a shard")
    storage.write_bytes(str(file), contact_sheet(rows))


def _sheet_rows(found: Quality) -> Iterator[Row]:
    if found.fit:
        groups = groups_of((each.caption for each in (*found.best, *found.worst)), found.where)
        for what, images in (("best", found.best), ("worst", found.worst)):
            for each in images:
                note = f"{what}: {each.fit:.3f}, {each.key}"
                yield Row(each.text, note, [groups[each.caption].pixels[each.copy]])
    else:
        groups = groups_of((each.key for each in (*found.alike, *found.unlike)), found.where)
        for what, captions in (("most alike", found.alike), ("most unlike", found.unlike)):
            for one in captions:
                yield Row(one.text, f"{what}: {one.distance:.3f} apart, {one.key}", shown(groups[one.key]).pixels)


def as_json(found: Quality) -> dict[str, Any]:
    """The figures as JSON-able dicts, without those that only a chart needs; images and captions by their keys."""
    shards = []
    for row in found.shards:
        fields = asdict(row)
        if row.siblings:
            del fields["siblings"]["apart"]
        shards.append(fields)
    return {
        "shards_sealed": found.sealed_shards,
        "shards_read": len(found.shards),
        "scorer": found.scorer,
        "fit": asdict(found.fit) if found.fit else None,
        "shards": shards,
        "concepts": [{"concept": concept} | asdict(each) for concept, each in found.concepts],
        "best": [_entry(each, found) for each in found.best],
        "worst": [_entry(each, found) for each in found.worst],
        "alike": [asdict(each) for each in found.alike],
        "unlike": [asdict(each) for each in found.unlike],
    }


def _entry(image: ImageScore, found: Quality) -> dict[str, Any]:
    shard = found.where[image.caption].stem
    return {"key": image.key, "shard": shard, "concept": image.concept, "text": image.text} | {
        "attempt": image.attempt,
        "fit": image.fit,
    }
