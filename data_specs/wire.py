"""Records to JSON bytes and back, strictly: a missing, unknown or mistyped field is a ContractError."""

import functools
import json
from collections.abc import Hashable
from dataclasses import asdict
from typing import Any, TypeVar, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError

from data_specs.errors import ContractError
from data_specs.sample import Sample

Record = TypeVar("Record")
STRICT = ConfigDict(extra="forbid")
"""Records set this as `__pydantic_config__`, so that a field nobody declared is refused."""


def to_json(record: Any, *, without: str = "") -> bytes:
    """Sorted keys, so that equal records are equal bytes; `without` names a field that has a member of its own."""
    fields = {name: value for name, value in asdict(record).items() if name != without}
    return json.dumps(fields, sort_keys=True, ensure_ascii=False).encode()


# Built once per record type: 0.02 instead of 2.8 ms for an image group.
@functools.cache
def _adapter(record_type: Any) -> TypeAdapter[Any]:
    return TypeAdapter(record_type)


def from_json(record_type: type[Record], sample: Sample) -> Record:
    """Raises ContractError that names the sample's key and the field at fault."""
    key = sample.get("__key__")
    payload = sample.get("json")
    if not isinstance(payload, bytes):
        raise ContractError(f"sample {key!r} has no json member: it is not a {record_type.__name__}")
    try:
        record: Record = _adapter(cast(Hashable, record_type)).validate_json(payload)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "(whole)"
        raise ContractError(f"sample {key!r} is not a {record_type.__name__}: {where}: {first['msg']}") from error
    return record
