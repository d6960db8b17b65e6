"""Choose captions of a run, with their images, to show: a gallery per strategy and kind of concept."""

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
from data_specs.stage import SealedStage, Stage
from flows.runs.lineages import rows
from tasks.shards import read_shard

CARDS = 6
IMAGES = 8
SHARDS = 6
SAMPLES = 64
"""Read per shard: a shard of a large run holds gigabytes, and its first samples are as good as any."""
COUNTED_SHARDS = 64
LARGEST = 128
MOST_BYTES = 6000
Item = TypeVar("Item", bound=Caption | ImageGroup)
MEDIA = {"jpg": "jpeg", "png": "png", "webp": "webp"}


@dataclass(frozen=True, slots=True)
class GalleryImage:
    """One image as the page embeds it: `uri` holds its bytes, `size` is its side in pixels."""

    copy: int
    uri: str
    alt: str
    seed: int
    size: int


@dataclass(frozen=True, slots=True)
class Card:
    """One caption; `prompt_target` is what the plan asked for beside the concept, `left_out` how many images are not shown."""

    caption: Caption
    prompt_target: str
    images: tuple[GalleryImage, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class Gallery:
    """`share` says how many of the captions belong to it."""

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


def galleries(captions: SealedStage | None, images: SealedStage | None) -> list[Gallery]:
    """From a few shards spread over the stage; a run without images still shows its captions."""
    found: dict[str, list[Caption | ImageGroup]] = {name: [] for name in GALLERIES}
    for item in _items(captions, images):
        found[_gallery(_caption(item).kind, _caption(item).strategy)].append(item)
    shares = _shares(captions) if captions else {}
    return [
        Gallery(*GALLERIES[name], shares.get(name, ""), tuple(_card(item) for item in sample(items)))
        for name, items in found.items()
        if items
    ]


def _shares(captions: SealedStage) -> dict[str, str]:
    """Counted over the whole stage, or over `COUNTED_SHARDS` spread over a large one."""
    counted: Counter[str] = Counter()
    for address in captions.spread(COUNTED_SHARDS):
        for row in rows(address):
            counted[_gallery(row["kind"], row["strategy"])] += 1
    total = counted.total()
    whole = total == captions.accepted
    return {
        name: (f"{count:,} of {total:,} captions, " if whole else "about ") + f"{100 * count / total:.1f} %"
        for name, count in counted.items()
    }


def _items(captions: Stage | None, images: Stage | None) -> Iterator[Caption | ImageGroup]:
    if images:
        # Where all are flagged there is nothing to show.
        yield from (group for group in first_samples(images, image_group.CONTRACT) if shown(group).images)
    elif captions:
        yield from first_samples(captions, caption_record.CONTRACT)


def first_samples(stage: Stage, contract: Contract[Record]) -> Iterator[Record]:
    """The first samples of a few shards that are spread over the stage."""
    for address in stage.spread(SHARDS):
        yield from islice(read_shard(address, contract), SAMPLES)


def _caption(item: Caption | ImageGroup) -> Caption:
    return item.caption if isinstance(item, ImageGroup) else item


def _gallery(kind: str, strategy: str) -> str:
    return strategy if kind == "object" else kind


def sample(items: Sequence[Item], most: int = CARDS) -> list[Item]:
    """Choose at most `most`, in an order that follows from the ids, each concept once while there are others."""
    ordered = sorted(items, key=lambda item: digest("report", _caption(item).id))
    first: dict[str, Item] = {}
    for item in ordered:
        first.setdefault(_caption(item).concept_id, item)
    others = [item for item in ordered if first[_caption(item).concept_id] is not item]
    return [*first.values(), *others][:most]


def prompt_target(caption: Caption) -> str:
    """What the plan asked for beside the concept: a background, or a relation and the other concept."""
    return caption.background or " ".join(filter(None, (caption.relation, caption.other)))


def _card(item: Caption | ImageGroup) -> Card:
    caption = _caption(item)
    if not isinstance(item, ImageGroup):
        return Card(caption, prompt_target(caption), (), 0)
    images = images_of(item)
    return Card(caption, prompt_target(caption), images, len(item.images) - len(images))


def images_of(group: ImageGroup, copies: Sequence[int] | None = None) -> tuple[GalleryImage, ...]:
    """Embed the images of a group: those of `copies`, else the first `IMAGES`; none that is flagged as unsafe."""
    wanted = range(IMAGES) if copies is None else copies
    group = shown(group)
    return tuple(
        GalleryImage(
            image.copy,
            _uri(data, image.format),
            f"{group.caption.text} (image {image.copy + 1})",
            image.seed,
            image.width,
        )
        for image, data in zip(group.images, group.pixels, strict=True)
        if image.copy in wanted
    )


def _uri(data: bytes, form: str) -> str:
    """Embed the stored bytes where they are few, else the image made smaller."""
    if len(data) > MOST_BYTES:
        image = Image.open(io.BytesIO(data)).convert("RGB")
        image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        stream = io.BytesIO()
        image.save(stream, "WEBP", quality=80)
        data, form = stream.getvalue(), "webp"
    return f"data:image/{MEDIA[form]};base64,{base64.b64encode(data).decode()}"
