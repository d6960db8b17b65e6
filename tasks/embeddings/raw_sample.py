"""An image of a data set as it was found, before anyone tried to decode it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RawSample:
    """`key` says where it was found; `group` is the split, by our name for it; `data` are the bytes as they were stored."""

    key: str
    group: str
    labels: tuple[str, ...]
    data: bytes
