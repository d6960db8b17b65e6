"""All the images of one caption. They are each other's positives, so they travel as one sample, caption inside.

Written by `images`, read by `encoder`. One sample is `0.jpg 1.jpg 2.jpg 3.jpg json`: shuffling cannot part positives.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import pyarrow as pa

from data_specs import caption as caption_record
from data_specs.caption import Caption
from data_specs.contract import Contract
from data_specs.errors import ContractError
from data_specs.model_identity import MODEL, ModelIdentity
from data_specs.sample import Sample
from data_specs.wire import STRICT, from_json, to_json

Format = Literal["jpg", "png", "webp"]
CLIP, SAFETY = "clip", "safety"
"""Names of scores: how well an image fits its caption, by whichever scorer; and by how much it exceeds what is safe."""


@dataclass(frozen=True, slots=True)
class Lora:
    """Weights added to those of the model: from which repository and file, and by which factor."""

    __pydantic_config__ = STRICT
    model: ModelIdentity
    file: str
    scale: float


@dataclass(frozen=True, slots=True)
class Rendering:
    """How the images of a group were rendered: everything that is the same for all of them.

    `text_tokens` is how many tokens of a caption the model reads (77 for CLIP's text encoder, its two marks included);
    None if it knows no limit.
    """

    __pydantic_config__ = STRICT
    model: ModelIdentity
    scheduler: str
    steps: int
    guidance_scale: float
    negative_prompt: str
    width: int
    height: int
    dtype: str
    text_tokens: int | None = None
    loras: tuple[Lora, ...] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """One image: its seed (start noise), stored size in pixels, digest of the stored bytes, and scores by name.

    `candidate` is its index among all images rendered for the caption; `copy` counts those that were kept, in the order of
    candidates and not of scores, so that an encoder that takes the first few copies does not take the best.
    """

    __pydantic_config__ = STRICT
    copy: int
    candidate: int
    seed: int
    attempt: int
    width: int
    height: int
    format: Format
    sha256: str
    scores: dict[str, float] = field(default_factory=dict)
    unsafe: bool = False


@dataclass(frozen=True, slots=True)
class PassedOver:
    """An image that was not kept, and why: `reranked`, or the fault for which it was rendered again."""

    __pydantic_config__ = STRICT
    candidate: int
    seed: int
    attempt: int
    reason: str
    scores: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageGroup:
    """`pixels[i]` are the encoded bytes of `images[i]`; images are ordered by copy, without gaps.

    `unseen_tokens` counts the tokens at the caption's end that the model did not read (it truncates them); `scorer` and
    `checker` are the models that gave the images' scores.
    """

    __pydantic_config__ = STRICT
    caption: Caption
    rendering: Rendering
    images: tuple[Image, ...]
    pixels: tuple[bytes, ...] = ()
    unseen_tokens: int = 0
    passed_over: tuple[PassedOver, ...] = ()
    scorer: ModelIdentity | None = None
    checker: ModelIdentity | None = None


SCORES = pa.map_(pa.string(), pa.float64())
SCHEMA = pa.schema(
    [
        *caption_record.SCHEMA,
        (
            "rendering",
            pa.struct(
                [
                    ("model", MODEL),
                    ("scheduler", pa.string()),
                    ("steps", pa.int64()),
                    ("guidance_scale", pa.float64()),
                    ("negative_prompt", pa.string()),
                    ("width", pa.int64()),
                    ("height", pa.int64()),
                    ("dtype", pa.string()),
                    ("text_tokens", pa.int64()),
                    ("loras", pa.list_(pa.struct([("model", MODEL), ("file", pa.string()), ("scale", pa.float64())]))),
                ]
            ),
        ),
        ("unseen_tokens", pa.int64()),
        (
            "images",
            pa.list_(
                pa.struct(
                    [
                        ("copy", pa.int64()),
                        ("candidate", pa.int64()),
                        ("seed", pa.int64()),
                        ("attempt", pa.int64()),
                        ("width", pa.int64()),
                        ("height", pa.int64()),
                        ("format", pa.string()),
                        ("sha256", pa.string()),
                        ("scores", SCORES),
                        ("unsafe", pa.bool_()),
                    ]
                )
            ),
        ),
        (
            "passed_over",
            pa.list_(
                pa.struct(
                    [
                        ("candidate", pa.int64()),
                        ("seed", pa.int64()),
                        ("attempt", pa.int64()),
                        ("reason", pa.string()),
                        ("scores", SCORES),
                    ]
                )
            ),
        ),
        ("scorer", MODEL),
        ("checker", MODEL),
    ]
)
OWN = ("rendering", "unseen_tokens", "images", "passed_over", "scorer", "checker")
"""Columns that are not the caption's."""


def encode(group: ImageGroup) -> Sample:
    """Raises ContractError for a group whose images and records do not match."""
    if not group.images or len(group.images) != len(group.pixels):
        raise ContractError(
            f"group {group.caption.id!r} has {len(group.images)} image records and {len(group.pixels)} images"
        )
    members = {f"{image.copy}.{image.format}": data for image, data in zip(group.images, group.pixels, strict=True)}
    return {"__key__": group.caption.id, **members, "json": to_json(group, without="pixels")}


def decode(sample: Sample, *, check_digests: bool = False) -> ImageGroup:
    """Raises ContractError for gaps in the copies, a missing image, or (on request) pixels whose digest differs."""
    group = from_json(ImageGroup, sample)
    if [image.copy for image in group.images] != list(range(len(group.images))):
        raise ContractError(f"group {sample['__key__']!r} has copies {[i.copy for i in group.images]}, not 0, 1, ...")
    pixels = []
    for image in group.images:
        data = sample.get(f"{image.copy}.{image.format}")
        if not isinstance(data, bytes):
            raise ContractError(f"group {sample['__key__']!r} lacks its image {image.copy}.{image.format}")
        if check_digests and hashlib.sha256(data).hexdigest() != image.sha256:
            raise ContractError(
                f"image {image.copy} of group {sample['__key__']!r} is not the one its record describes"
            )
        pixels.append(data)
    return replace(group, pixels=tuple(pixels))


def row(group: ImageGroup) -> dict[str, Any]:
    parts = asdict(replace(group, pixels=()))
    own: dict[str, Any] = {name: parts[name] for name in OWN}
    for name in ("images", "passed_over"):
        own[name] = [image | {"scores": sorted(image["scores"].items())} for image in own[name]]
    return caption_record.row(group.caption) | own


def from_row(row: Mapping[str, Any]) -> ImageGroup:
    """The group without its pixels, from its metadata row as a dict (maps as dicts). Raises ContractError if it is none."""
    caption = {name: value for name, value in row.items() if name not in OWN}
    whole = {"caption": caption} | {name: row[name] for name in OWN if name in row}
    return from_json(ImageGroup, {"__key__": str(row.get("id")), "json": json.dumps(whole).encode()})


def part(group: ImageGroup, copy: int) -> ImageGroup:
    """One image of a group, without pixels, to be rendered again alone. Not a sample: those are always whole."""
    return replace(group, images=(group.images[copy],), pixels=())


def shown(group: ImageGroup) -> ImageGroup:
    """The group without images that are flagged as unsafe, for display. Not a sample: those are always whole."""
    kept = [number for number, image in enumerate(group.images) if not image.unsafe]
    pixels = tuple(group.pixels[number] for number in kept)
    return replace(group, images=tuple(group.images[number] for number in kept), pixels=pixels)


CONTRACT = Contract("image_group", encode, decode, row, SCHEMA)
