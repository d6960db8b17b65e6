"""All the pictures of one caption. They are each other's positives, so they travel as one sample, caption inside.

Leaves `images`, enters `encoder`. One sample is `0.jpg 1.jpg 2.jpg 3.jpg json`: shuffling cannot part positives.
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
"""Scores by name: how well a picture fits its caption, whichever scorer says so; and how far beyond safe it is."""


@dataclass(frozen=True, slots=True)
class Lora:
    """Weights added to a model's own: which, from which of its files, and how much of them."""

    __pydantic_config__ = STRICT
    model: ModelIdentity
    file: str
    scale: float


@dataclass(frozen=True, slots=True)
class Rendering:
    """How the pictures of a group were drawn: everything that is the same for all of them.

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
    """One picture: its seed (start noise), stored size in pixels, digest of the stored bytes, and scores by name.

    `candidate` is which of the caption's drawings it is; copies count those that were kept, in the order of candidates
    and not of scores, so that an encoder that takes the first few copies does not take the best.
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
    """A drawing that was not kept, and why: `reranked`, or the fault for which it was drawn again."""

    __pydantic_config__ = STRICT
    candidate: int
    seed: int
    attempt: int
    reason: str
    scores: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageGroup:
    """`pixels[i]` are the encoded bytes of `images[i]`; images are ordered by copy, without gaps.

    `unseen_tokens` are those at the caption's end that the model did not read; `scorer` and `checker` are whose scores
    the pictures have.
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
    """Raises ContractError for a group whose pictures and records do not match."""
    if not group.images or len(group.images) != len(group.pixels):
        raise ContractError(
            f"group {group.caption.id!r} has {len(group.images)} image records and {len(group.pixels)} pictures"
        )
    members = {f"{image.copy}.{image.format}": data for image, data in zip(group.images, group.pixels, strict=True)}
    return {"__key__": group.caption.id, **members, "json": to_json(group, without="pixels")}


def decode(sample: Sample, *, check_digests: bool = False) -> ImageGroup:
    """Raises ContractError for gaps in the copies, a missing picture, or (on request) pixels whose digest differs."""
    group = from_json(ImageGroup, sample)
    if [image.copy for image in group.images] != list(range(len(group.images))):
        raise ContractError(f"group {sample['__key__']!r} has copies {[i.copy for i in group.images]}, not 0, 1, ...")
    pixels = []
    for image in group.images:
        data = sample.get(f"{image.copy}.{image.format}")
        if not isinstance(data, bytes):
            raise ContractError(f"group {sample['__key__']!r} lacks its picture {image.copy}.{image.format}")
        if check_digests and hashlib.sha256(data).hexdigest() != image.sha256:
            raise ContractError(
                f"picture {image.copy} of group {sample['__key__']!r} is not the one its record describes"
            )
        pixels.append(data)
    return replace(group, pixels=tuple(pixels))


def row(group: ImageGroup) -> dict[str, Any]:
    parts = asdict(replace(group, pixels=()))
    own: dict[str, Any] = {name: parts[name] for name in OWN}
    for name in ("images", "passed_over"):
        own[name] = [drawn | {"scores": sorted(drawn["scores"].items())} for drawn in own[name]]
    return caption_record.row(group.caption) | own


def from_row(row: Mapping[str, Any]) -> ImageGroup:
    """The group without its pixels, from its metadata row as a dict (maps as dicts). Raises ContractError if it is none."""
    caption = {name: value for name, value in row.items() if name not in OWN}
    whole = {"caption": caption} | {name: row[name] for name in OWN if name in row}
    return from_json(ImageGroup, {"__key__": str(row.get("id")), "json": json.dumps(whole).encode()})


def part(group: ImageGroup, copy: int) -> ImageGroup:
    """One picture of a group, without pixels: to be drawn again alone. It is no sample, which is always whole."""
    return replace(group, images=(group.images[copy],), pixels=())


def shown(group: ImageGroup) -> ImageGroup:
    """Without the pictures that are flagged as unsafe: nobody sees one who did not name it. No sample: those are whole."""
    kept = [number for number, image in enumerate(group.images) if not image.unsafe]
    pixels = tuple(group.pixels[number] for number in kept)
    return replace(group, images=tuple(group.images[number] for number in kept), pixels=pixels)


CONTRACT = Contract("image_group", encode, decode, row, SCHEMA)
