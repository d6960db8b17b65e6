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


@dataclass(frozen=True, slots=True)
class Image:
    """One picture: its seed (start noise), stored size in pixels, digest of the stored bytes, and scores by name."""

    __pydantic_config__ = STRICT
    copy: int
    seed: int
    attempt: int
    width: int
    height: int
    format: Format
    sha256: str
    scores: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageGroup:
    """`pixels[i]` are the encoded bytes of `images[i]`; images are ordered by copy, without gaps.

    `unseen_tokens` are those at the caption's end that the model did not read.
    """

    __pydantic_config__ = STRICT
    caption: Caption
    rendering: Rendering
    images: tuple[Image, ...]
    pixels: tuple[bytes, ...] = ()
    unseen_tokens: int = 0


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
                        ("seed", pa.int64()),
                        ("attempt", pa.int64()),
                        ("width", pa.int64()),
                        ("height", pa.int64()),
                        ("format", pa.string()),
                        ("sha256", pa.string()),
                        ("scores", pa.map_(pa.string(), pa.float64())),
                    ]
                )
            ),
        ),
    ]
)


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
    images = [asdict(image) | {"scores": sorted(image.scores.items())} for image in group.images]
    drawn = {"rendering": asdict(group.rendering), "unseen_tokens": group.unseen_tokens, "images": images}
    return caption_record.row(group.caption) | drawn


def from_row(row: Mapping[str, Any]) -> ImageGroup:
    """The group without its pixels, from its metadata row as a dict (maps as dicts). Raises ContractError if it is none."""
    own = ("rendering", "images", "unseen_tokens")
    parts = {name: value for name, value in row.items() if name not in own}
    whole = {"caption": parts, "rendering": row.get("rendering"), "images": row.get("images")}
    whole |= {"unseen_tokens": row.get("unseen_tokens", 0)}
    return from_json(ImageGroup, {"__key__": str(row.get("id")), "json": json.dumps(whole).encode()})


def part(group: ImageGroup, copy: int) -> ImageGroup:
    """One picture of a group, without pixels: to be drawn again alone. It is no sample, which is always whole."""
    return replace(group, images=(group.images[copy],), pixels=())


CONTRACT = Contract("image_group", encode, decode, row, SCHEMA)
