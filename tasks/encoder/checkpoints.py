"""Write training checkpoints that survive any kill, and find the newest valid one.

A checkpoint is `checkpoints/step-00000100.safetensors` and, written last, `.json` with its digest: no JSON, no checkpoint.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from data_specs.errors import ContractError
from data_specs.shard import FileDigest, ShardAddress
from tasks import storage
from tasks.shards import read_rows

if TYPE_CHECKING:
    from torch import Tensor


class CheckpointManifest(BaseModel):
    """Describes the file of one training checkpoint; `step` counts steps done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    file: FileDigest


def checkpoints_folder(folder: str) -> str:
    """`folder` is that of the encoder, here and below."""
    return f"{folder.rstrip('/')}/checkpoints"


def stem(step: int) -> str:
    return f"step-{step:08d}"


def save(folder: str, step: int, tensors: "dict[str, Tensor]", keep: int) -> None:
    """Write one checkpoint, then remove all but it and the newest `keep - 1` before it.

    One of a later step is removed too: it was damaged, or the training would have gone on from it.
    """
    from safetensors.torch import save_file

    url = f"{checkpoints_folder(folder)}/{stem(step)}.safetensors"
    with storage.parts_for(url) as part:
        save_file(tensors, part)
        part.chmod(0o644)  # safetensors writes for the owner alone; a shared root is read by others
        digest = _digest(part)
        storage.publish(part, url)
    manifest = CheckpointManifest(step=step, file=digest)
    storage.write_bytes(f"{checkpoints_folder(folder)}/{stem(step)}.json", manifest.model_dump_json().encode())
    steps = sorted(each.step for each in _manifests(folder))
    before = [other for other in steps if other < step]
    for old in {*before[: len(before) - keep + 1], *(other for other in steps if other > step)}:
        # The manifest goes first: a kill in between leaves a file that counts for nothing, not a promise without a file.
        storage.remove(f"{checkpoints_folder(folder)}/{stem(old)}.json")
        storage.remove(f"{checkpoints_folder(folder)}/{stem(old)}.safetensors")


def newest(folder: str) -> "tuple[int, dict[str, Tensor]] | None":
    """Steps done and tensors of the newest checkpoint whose digest is right; damaged ones are passed over."""
    from safetensors.torch import load

    for manifest in sorted(_manifests(folder), key=lambda manifest: manifest.step, reverse=True):
        data = storage.read_bytes(f"{checkpoints_folder(folder)}/{stem(manifest.step)}.safetensors")
        if data is not None and FileDigest(bytes=len(data), sha256=hashlib.sha256(data).hexdigest()) == manifest.file:
            return manifest.step, load(data)
    return None


def steps_done(folder: str) -> int:
    """Steps done at the newest checkpoint, by its manifest alone: a training goes on from there."""
    return max((manifest.step for manifest in _manifests(folder)), default=0)


def verify_checkpoints(address: ShardAddress) -> Iterator[str]:
    """Yield, in words, what is wrong with the files that a sealed encoder names."""
    for row in read_rows(address).to_pylist():
        for name, promised in row["files"]:
            data = storage.read_bytes(f"{address.folder.rstrip('/')}/{name}")
            if data is None:
                yield f"checkpoint {row['id']}: {name} is missing"
            elif hashlib.sha256(data).hexdigest() != promised:
                yield f"checkpoint {row['id']}: {name} is not as sealed"


def _manifests(folder: str) -> Iterator[CheckpointManifest]:
    for name in storage.names(checkpoints_folder(folder)):
        if name.startswith("step-") and name.endswith(".json"):
            if (text := storage.read_bytes(f"{checkpoints_folder(folder)}/{name}")) is None:
                continue  # another run of this training removed it meanwhile
            try:
                yield CheckpointManifest.model_validate_json(text)
            except ValidationError as error:
                raise ContractError(
                    f"{checkpoints_folder(folder)}/{name} is no checkpoint manifest; remove it to go on"
                ) from error


def _digest(path: Path) -> FileDigest:
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            sha.update(chunk)
    return FileDigest(bytes=path.stat().st_size, sha256=sha.hexdigest())
