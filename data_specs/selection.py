"""What became of one sealed caption when it was looked at beside those of other shards. Leaves `selection`, enters `images`."""

from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from data_specs.contract import Contract
from data_specs.ids import CaptionId
from data_specs.sample import Sample
from data_specs.wire import STRICT, from_json, to_json

SELECTION = "selection"
"""The folder of these tables, one a caption shard: an inner room between captions and images."""
Verdict = Literal["kept", "duplicate_elsewhere", "near_duplicate_elsewhere", "balanced_away"]


@dataclass(frozen=True, slots=True)
class Choice:
    """`id` is the caption's; `repeats` the earlier one that says the same, and `repeats_in` the index of its shard.

    `keys` are what later captions are looked up by, and `names` the rows of the concept table that the caption names,
    counted for later ones: a repeat has neither, and `names` are only found where captions are balanced.
    """

    __pydantic_config__ = STRICT
    id: CaptionId
    verdict: Verdict
    repeats: CaptionId | None = None
    repeats_in: int | None = None
    keys: tuple[int, ...] = ()
    names: tuple[int, ...] = ()


SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("verdict", pa.string()),
        ("repeats", pa.string()),
        ("repeats_in", pa.int64()),
        ("keys", pa.list_(pa.int64())),
        ("names", pa.list_(pa.int32())),
    ]
)


def encode(choice: Choice) -> Sample:
    return {"__key__": choice.id, "json": to_json(choice)}


def decode(sample: Sample) -> Choice:
    return from_json(Choice, sample)


def row(choice: Choice) -> dict[str, Any]:
    # By hand: `asdict` copies every key, which took a sixth of the pass.
    return {name: getattr(choice, name) for name in SCHEMA.names}


CONTRACT = Contract("choice", encode, decode, row, SCHEMA)
