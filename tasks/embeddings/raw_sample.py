"""A picture of a data set as it was found, before anyone looked whether it can be opened."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shown:
    """`key` says where it was found; `group` is the split, by our name for it; `data` are bytes as they lie there."""

    key: str
    group: str
    labels: tuple[str, ...]
    data: bytes
