"""A concept: the one thing an image must show. Written by `concepts`, read by `captions`."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import pyarrow as pa

from data_specs.contract import Contract
from data_specs.ids import ConceptId
from data_specs.sample import Sample
from data_specs.wire import STRICT, from_json, to_json

Kind = Literal["object", "place", "texture"]
KINDS: tuple[Kind, ...] = ("object", "place", "texture")


@dataclass(frozen=True, slots=True)
class Concept:
    """`weight` is the probability that a caption's subject is this concept; a table's weights sum to 1."""

    __pydantic_config__ = STRICT
    id: ConceptId
    name: str
    kind: Kind
    category: str
    weight: float
    sources: tuple[str, ...]
    backgrounds: tuple[str, ...] = ()


SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("name", pa.string()),
        ("kind", pa.string()),
        ("category", pa.string()),
        ("weight", pa.float64()),
        ("sources", pa.list_(pa.string())),
        ("backgrounds", pa.list_(pa.string())),
    ]
)


def encode(concept: Concept) -> Sample:
    return {"__key__": concept.id, "json": to_json(concept)}


def decode(sample: Sample) -> Concept:
    return from_json(Concept, sample)


def row(concept: Concept) -> dict[str, Any]:
    return asdict(concept)


def from_row(row: dict[str, Any]) -> Concept:
    """The concept in one row of the sealed table."""
    return Concept(**row | {"sources": tuple(row["sources"]), "backgrounds": tuple(row["backgrounds"])})


CONTRACT = Contract("concept", encode, decode, row, SCHEMA)
