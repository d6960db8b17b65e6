"""The record of the embeddings stage: the features that one encoder gives one benchmark image."""

from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from data_specs.contract import Contract
from data_specs.errors import ContractError
from data_specs.sample import Sample
from data_specs.wire import STRICT, from_json, to_json


@dataclass(frozen=True, slots=True)
class Embedding:
    """`feature` is float32, little endian, `dimension` numbers; folds are split by `group` (a style, a split)."""

    __pydantic_config__ = STRICT
    id: str
    encoder: str
    benchmark: str
    group: str
    labels: tuple[str, ...]
    category: str
    copy: int
    dimension: int
    feature: bytes = b""


JOINT = "joint"
"""The encoder whose features are in one space with those of its text tower; its shards hold prompts beside the images."""
TEXT, TEXT_OF_CATEGORIES = "text", "text of categories"
"""The groups of prompts: one row for each class (or category) and template, `copy` being the template's place."""
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("encoder", pa.string()),
        ("benchmark", pa.string()),
        ("group", pa.string()),
        ("labels", pa.list_(pa.string())),
        ("category", pa.string()),
        ("copy", pa.int64()),
        ("dimension", pa.int64()),
    ]
)


def row(embedding: Embedding) -> dict[str, Any]:
    return {name: getattr(embedding, name) for name in SCHEMA.names}


def encode(embedding: Embedding) -> Sample:
    if len(embedding.feature) != 4 * embedding.dimension:
        raise ContractError(
            f"embedding {embedding.id!r} promises {embedding.dimension} float32 and holds {len(embedding.feature)} bytes"
        )
    return {"__key__": embedding.id, "f32": embedding.feature, "json": to_json(embedding, without="feature")}


def decode(sample: Sample) -> Embedding:
    embedding = from_json(Embedding, sample)
    feature = sample.get("f32")
    if not isinstance(feature, bytes) or len(feature) != 4 * embedding.dimension:
        raise ContractError(f"embedding {sample['__key__']!r} does not hold {embedding.dimension} float32")
    return replace(embedding, feature=feature)


CONTRACT = Contract("embedding", encode, decode, row, SCHEMA)
