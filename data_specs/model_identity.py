"""Which weights made something: the id a person would type, and the revision that pins its bytes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """`revision` is a commit of a hub repository, or `sha256:...` over the files of a local folder."""

    id: str
    revision: str
