"""A caption: one sentence that names one concept, with everything it was made from. Written by `captions`, read by `images`."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import pyarrow as pa

from data_specs.concept import Kind
from data_specs.contract import Contract
from data_specs.ids import CaptionId, ConceptId
from data_specs.model_identity import MODEL, ModelIdentity
from data_specs.sample import Sample
from data_specs.wire import STRICT, from_json, to_json

Strategy = Literal["concept", "background", "relation"]
STRATEGIES: tuple[Strategy, ...] = ("concept", "background", "relation")
"""SynCLR section 3.1: c -> caption; c, bg -> caption; c, rel -> caption."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the LLM sampled its tokens. Temperature and nucleus as in the released script (0.8, 0.9)."""

    __pydantic_config__ = STRICT
    temperature: float
    top_p: float
    max_tokens: int


SAMPLING = pa.struct([("temperature", pa.float64()), ("top_p", pa.float64()), ("max_tokens", pa.int64())])


@dataclass(frozen=True, slots=True)
class Caption:
    """`shard` and `slot` say which plan it answers, `attempt` which try succeeded; `other` is a relation's second noun."""

    __pydantic_config__ = STRICT
    id: CaptionId
    text: str
    concept_id: ConceptId
    concept: str
    kind: Kind
    category: str
    strategy: Strategy
    background: str | None
    relation: str | None
    other: str | None
    examples: tuple[str, ...]
    prompt_digest: str
    model: ModelIdentity
    sampling: Sampling
    seed: int
    shard: int
    slot: int
    attempt: int


SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("concept_id", pa.string()),
        ("concept", pa.string()),
        ("kind", pa.string()),
        ("category", pa.string()),
        ("strategy", pa.string()),
        ("background", pa.string()),
        ("relation", pa.string()),
        ("other", pa.string()),
        ("examples", pa.list_(pa.string())),
        ("prompt_digest", pa.string()),
        ("model", MODEL),
        ("sampling", SAMPLING),
        ("seed", pa.int64()),
        ("shard", pa.int64()),
        ("slot", pa.int64()),
        ("attempt", pa.int64()),
    ]
)


def encode(caption: Caption) -> Sample:
    return {"__key__": caption.id, "json": to_json(caption)}


def decode(sample: Sample) -> Caption:
    return from_json(Caption, sample)


def row(caption: Caption) -> dict[str, Any]:
    return asdict(caption)


CONTRACT = Contract("caption", encode, decode, row, SCHEMA)
