"""A background: a place where an object may be shown, with everything it was made from. Written by an LLM for `concepts`."""

from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from data_specs.caption import SAMPLING, Sampling
from data_specs.contract import Contract
from data_specs.ids import ConceptId
from data_specs.model_identity import MODEL, ModelIdentity
from data_specs.sample import Sample
from data_specs.wire import STRICT, from_json, to_json


@dataclass(frozen=True, slots=True)
class Background:
    """`examples` are the in-context lines before the question; `attempt` is the index of the answer that named it."""

    __pydantic_config__ = STRICT
    id: str
    text: str
    concept_id: ConceptId
    concept: str
    examples: tuple[str, ...]
    prompt_digest: str
    model: ModelIdentity
    sampling: Sampling
    seed: int
    attempt: int


SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("concept_id", pa.string()),
        ("concept", pa.string()),
        ("examples", pa.list_(pa.string())),
        ("prompt_digest", pa.string()),
        ("model", MODEL),
        ("sampling", SAMPLING),
        ("seed", pa.int64()),
        ("attempt", pa.int64()),
    ]
)


def encode(background: Background) -> Sample:
    return {"__key__": background.id, "json": to_json(background)}


def decode(sample: Sample) -> Background:
    return from_json(Background, sample)


def row(background: Background) -> dict[str, Any]:
    return asdict(background)


CONTRACT = Contract("background", encode, decode, row, SCHEMA)
