"""A model's name in a recipe enters; the identity that pins its bytes leaves, without loading it."""

import functools
import hashlib
from pathlib import Path

from data_specs.errors import SpecError
from data_specs.model_identity import ModelIdentity


def identify(model: str, revision: str | None, *, knob: str) -> ModelIdentity:
    """A local folder is pinned by a digest over its files, a hub id by the commit that the recipe must name.

    `knob` is the recipe's field, for the message. Raises SpecError for a folder that is not there or holds pickles
    only, and for a hub id without a revision.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not any(folder.rglob("*.safetensors")):
            raise SpecError(f"{knob}: folder {model!r} holds no .safetensors; other formats are not read")
        return ModelIdentity(folder.name, f"sha256:{_folder_digest(folder.resolve())}")
    if model.startswith((".", "/", "~")):
        raise SpecError(f"{knob}: there is no folder {model!r}")
    if not revision:
        raise SpecError(
            f"{knob}: {model!r} is no folder here; for a hub id, pin its commit with revision=<40 hex digits>"
        )
    return ModelIdentity(model, revision)


@functools.cache
def _folder_digest(folder: Path) -> str:
    """Over names and contents of the weights and their configurations, so that a renamed copy is the same model."""
    sha = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".safetensors", ".json", ".txt", ".model"}:
            sha.update(str(path.relative_to(folder)).encode() + b"\0")
            with path.open("rb") as stream:
                sha.update(hashlib.file_digest(stream, "sha256").digest())
    return sha.hexdigest()[:32]
