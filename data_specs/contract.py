"""What every record type offers to the shard writer: encode, decode, one metadata row, and the row's Arrow schema."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pyarrow as pa

from data_specs.sample import Sample

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Contract(Generic[Record]):
    """`decode(encode(record)) == record`; `row` holds all of the record's metadata and none of its pixels."""

    name: str
    encode: Callable[[Record], Sample]
    decode: Callable[[Sample], Record]
    row: Callable[[Record], dict[str, Any]]
    schema: pa.Schema
