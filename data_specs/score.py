"""The record of the scores stage: how good one encoder is, by one protocol, on one benchmark."""

from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from data_specs.contract import Contract
from data_specs.sample import Sample
from data_specs.wire import STRICT, from_json, to_json


@dataclass(frozen=True, slots=True)
class Score:
    """`value` is a share in [0, 1], `low` to `high` its 95 % interval; `fold` names what was held out.

    `subset` is `all`, or the classes that the concept table names (`seen`) or lacks (`unseen`); `settings` are the
    hyper-parameters that were used, the chosen ones included.
    """

    __pydantic_config__ = STRICT
    id: str
    encoder: str
    benchmark: str
    subset: str
    protocol: str
    metric: str
    fold: str
    seed: int
    value: float
    low: float
    high: float
    chance: float
    train_size: int
    test_size: int
    settings: dict[str, float]


SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("encoder", pa.string()),
        ("benchmark", pa.string()),
        ("subset", pa.string()),
        ("protocol", pa.string()),
        ("metric", pa.string()),
        ("fold", pa.string()),
        ("seed", pa.int64()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("chance", pa.float64()),
        ("train_size", pa.int64()),
        ("test_size", pa.int64()),
        ("settings", pa.map_(pa.string(), pa.float64())),
    ]
)


def encode(score: Score) -> Sample:
    return {"__key__": score.id, "json": to_json(score)}


def decode(sample: Sample) -> Score:
    return from_json(Score, sample)


def row(score: Score) -> dict[str, Any]:
    return asdict(score) | {"settings": sorted(score.settings.items())}


CONTRACT = Contract("score", encode, decode, row, SCHEMA)
