"""Which weights made something: the id a person would type, and the revision that pins its bytes."""

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """`revision` is a commit of a hub repository, or `sha256:...` over the files of a local folder.

    After `served:` it is what the recipe says of a server's model, whose bytes nobody here has seen.
    """

    id: str
    revision: str


MODEL = pa.struct([("id", pa.string()), ("revision", pa.string())])
