"""A benchmark image: pixels with the labels that a probe should predict. Sealed once a root, read by `embeddings`."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from data_specs.contract import Contract
from data_specs.errors import ContractError
from data_specs.sample import Sample
from data_specs.wire import STRICT, from_json, to_json


@dataclass(frozen=True, slots=True)
class BenchmarkImage:
    """`group` is what folds are cut by (a style, a split); `labels` are the classes that an image shows, mostly one.

    `constant`: all its pixels have one colour. `data` are encoded bytes whose digest is `sha256`.
    """

    __pydantic_config__ = STRICT
    id: str
    benchmark: str
    group: str
    labels: tuple[str, ...]
    category: str
    copy: int
    seed: int
    constant: bool
    sha256: str
    data: bytes = b""


TRAIN, VALIDATION, TEST = "train", "validation", "test"
"""The groups of a benchmark that comes with splits, whatever its own names for them."""
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("benchmark", pa.string()),
        ("group", pa.string()),
        ("labels", pa.list_(pa.string())),
        ("category", pa.string()),
        ("copy", pa.int64()),
        ("seed", pa.int64()),
        ("constant", pa.bool_()),
        ("sha256", pa.string()),
    ]
)


def row(image: BenchmarkImage) -> dict[str, Any]:
    return {name: getattr(image, name) for name in SCHEMA.names}


def encode(image: BenchmarkImage) -> Sample:
    if hashlib.sha256(image.data).hexdigest() != image.sha256:
        raise ContractError(f"image {image.id!r} is not the one its digest describes")
    return {"__key__": image.id, "png": image.data, "json": to_json(image, without="data")}


def decode(sample: Sample) -> BenchmarkImage:
    """Raises ContractError for a sample without its pixels."""
    image = from_json(BenchmarkImage, sample)
    data = sample.get("png")
    if not isinstance(data, bytes):
        raise ContractError(f"image {sample['__key__']!r} lacks its pixels")
    return replace(image, data=data)


CONTRACT = Contract("image", encode, decode, row, SCHEMA)
