"""What the selection across shards decided about one sealed caption: whether the images stage renders it."""

from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from data_specs.contract import Contract
from data_specs.ids import CaptionId
from data_specs.sample import Sample
from data_specs.wire import STRICT, from_json, to_json

SELECTION = "selection"
"""The folder of these tables, one a caption shard: an inner stage between captions and images."""
Verdict = Literal["kept", "duplicate_elsewhere", "near_duplicate_elsewhere", "balanced_away"]


@dataclass(frozen=True, slots=True)
class CaptionVerdict:
    """The verdict on the caption `id`: `repeats` is the earlier caption that says the same, `repeats_in` its shard's index.

    `keys` are the hashes by which later captions find this one; `names` are the rows of the concept table that it names,
    counted for later ones. A repeat has neither, and without `captions.balance` nothing has `names`.
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


def encode(decided: CaptionVerdict) -> Sample:
    return {"__key__": decided.id, "json": to_json(decided)}


def decode(sample: Sample) -> CaptionVerdict:
    return from_json(CaptionVerdict, sample)


def row(decided: CaptionVerdict) -> dict[str, Any]:
    # By hand: `asdict` copies every key, which took a sixth of the pass.
    return {name: getattr(decided, name) for name in SCHEMA.names}


CONTRACT = Contract("caption_verdict", encode, decode, row, SCHEMA)
