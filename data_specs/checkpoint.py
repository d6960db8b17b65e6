"""The record of the encoder stage: an encoder at one step, its files, and the image shards it was trained on."""

from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from data_specs.contract import Contract
from data_specs.sample import Sample
from data_specs.wire import STRICT, from_json, to_json


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`files` maps a name relative to the checkpoint's folder to the sha256 of its bytes; `shards` are image shard stems."""

    __pydantic_config__ = STRICT
    id: str
    step: int
    steps: int
    architecture: str
    objective: str
    seed: int
    images_seen: int
    images_lineage: str
    shards: tuple[str, ...]
    files: dict[str, str]
    terms: dict[str, float]


SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("step", pa.int64()),
        ("steps", pa.int64()),
        ("architecture", pa.string()),
        ("objective", pa.string()),
        ("seed", pa.int64()),
        ("images_seen", pa.int64()),
        ("images_lineage", pa.string()),
        ("shards", pa.list_(pa.string())),
        ("files", pa.map_(pa.string(), pa.string())),
        ("terms", pa.map_(pa.string(), pa.float64())),
    ]
)


def encode(checkpoint: Checkpoint) -> Sample:
    return {"__key__": checkpoint.id, "json": to_json(checkpoint)}


def decode(sample: Sample) -> Checkpoint:
    return from_json(Checkpoint, sample)


def row(checkpoint: Checkpoint) -> dict[str, Any]:
    maps = {"files": sorted(checkpoint.files.items()), "terms": sorted(checkpoint.terms.items())}
    return asdict(checkpoint) | maps


CONTRACT = Contract("checkpoint", encode, decode, row, SCHEMA)
