"""The captions or images of a run enter; a gallery per strategy leaves: concept, caption, and the pictures of it."""

import base64
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from PIL import Image

from data_specs import caption as caption_record
from data_specs import image_group
from data_specs.caption import Caption
from data_specs.contract import Contract, Record
from data_specs.ids import digest
from data_specs.image_group import ImageGroup, shown
from flows.report.sealed_stages import Walked
from flows.runs.lineages import rows
from tasks.shards import read_shard

CARDS = 6
PICTURES = 8
SHARDS = 6
SAMPLES = 64
"""Looked at per shard: a shard of a large run holds gigabytes, and its first samples are as good as any."""
COUNTED_SHARDS = 64
LARGEST = 128
MOST_BYTES = 6000
Drawn = TypeVar("Drawn", bound=Caption | ImageGroup)
MEDIA = {"jpg": "jpeg", "png": "png", "webp": "webp"}


@dataclass(frozen=True, slots=True)
class Picture:
    copy: int
    uri: str
    alt: str
    seed: int
    size: int


@dataclass(frozen=True, slots=True)
class Card:
    """One caption: `aim` is what the plan asked for beside the concept (a background, or a relation and its other)."""

    caption: Caption
    aim: str
    pictures: tuple[Picture, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class Gallery:
    """`share` says how many of the captions are of this sort."""

    name: str
    says: str
    share: str
    cards: tuple[Card, ...]


GALLERIES = {
    "concept": ("Concept alone", "c → caption: the language model is given the concept and nothing else."),
    "background": ("Concept and background", "c, background → caption: where the concept is to be seen."),
    "relation": ("Concept and relation", "c, relation → caption: beside, in, on or under what."),
    "place": ("Places", "A place is the concept itself."),
    "texture": ("Textures", "A material or surface is the concept itself."),
}


def galleries(captions: Walked | None, images: Walked | None) -> list[Gallery]:
    """From a few shards spread over the room; a room without pictures still shows its captions."""
    kinds: dict[str, list[Caption | ImageGroup]] = {name: [] for name in GALLERIES}
    for group in _drawn_or_written(captions, images):
        kinds[_sort(_caption(group).kind, _caption(group).strategy)].append(group)
    shares = _shares(captions) if captions else {}
    return [
        Gallery(*GALLERIES[name], shares.get(name, ""), tuple(_card(group) for group in chosen(found)))
        for name, found in kinds.items()
        if found
    ]


def _shares(captions: Walked) -> dict[str, str]:
    """Counted over the whole room, or over `COUNTED_SHARDS` spread over a large one."""
    counted: Counter[str] = Counter()
    for address in captions.spread(COUNTED_SHARDS):
        for row in rows(address):
            counted[_sort(row["kind"], row["strategy"])] += 1
    total = counted.total()
    whole = total == captions.sealed.accepted
    return {
        name: (f"{count:,} of {total:,} captions, " if whole else "about ") + f"{100 * count / total:.1f} %"
        for name, count in counted.items()
    }


def _drawn_or_written(captions: Walked | None, images: Walked | None) -> Iterator[Caption | ImageGroup]:
    if images:
        # Where all are flagged there is nothing to show.
        yield from (group for group in some(images, image_group.CONTRACT) if shown(group).images)
    elif captions:
        yield from some(captions, caption_record.CONTRACT)


def some(room: Walked, contract: Contract[Record]) -> Iterator[Record]:
    """The first samples of a few shards that are spread over the room."""
    for address in room.spread(SHARDS):
        yield from islice(read_shard(address, contract), SAMPLES)


def _caption(group: Caption | ImageGroup) -> Caption:
    return group.caption if isinstance(group, ImageGroup) else group


def _sort(kind: str, strategy: str) -> str:
    return strategy if kind == "object" else kind


def chosen(groups: Sequence[Drawn], most: int = CARDS) -> list[Drawn]:
    """By a draw that follows from the ids, each concept once while there are others."""
    drawn = sorted(groups, key=lambda group: digest("report", _caption(group).id))
    first: dict[str, Drawn] = {}
    for group in drawn:
        first.setdefault(_caption(group).concept_id, group)
    others = [group for group in drawn if first[_caption(group).concept_id] is not group]
    return [*first.values(), *others][:most]


def _card(group: Caption | ImageGroup) -> Card:
    caption = _caption(group)
    aim = caption.background or " ".join(filter(None, (caption.relation, caption.other)))
    if not isinstance(group, ImageGroup):
        return Card(caption, aim, (), 0)
    pictures = pictures_of(group)
    return Card(caption, aim, pictures, len(group.images) - len(pictures))


def pictures_of(group: ImageGroup, copies: Sequence[int] | None = None) -> tuple[Picture, ...]:
    """Of a group: those of `copies`, else the first `PICTURES`; none that is flagged as unsafe."""
    wanted = range(PICTURES) if copies is None else copies
    group = shown(group)
    return tuple(
        Picture(
            image.copy,
            _uri(data, image.format),
            f"{group.caption.text} (picture {image.copy + 1})",
            image.seed,
            image.width,
        )
        for image, data in zip(group.images, group.pixels, strict=True)
        if image.copy in wanted
    )


def _uri(data: bytes, form: str) -> str:
    """The stored bytes where they are small; else the picture made smaller."""
    if len(data) > MOST_BYTES:
        picture = Image.open(io.BytesIO(data)).convert("RGB")
        picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        stream = io.BytesIO()
        picture.save(stream, "WEBP", quality=80)
        data, form = stream.getvalue(), "webp"
    return f"data:image/{MEDIA[form]};base64,{base64.b64encode(data).decode()}"
