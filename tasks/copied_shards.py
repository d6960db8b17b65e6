"""Copy a sealed shard to another lineage of its stage, in which it would be the same to the byte."""

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from data_specs.errors import ContractError
from data_specs.shard import FileDigest, ShardAddress
from tasks import storage
from tasks.file_digests import CHUNK
from tasks.shards import seal, sealed


def copy_shard(source: ShardAddress, address: ShardAddress, beside: Sequence[str] = ()) -> bool:
    """Seal at `address` what is sealed at `source`: all its files, who made it, and the files `beside` it, by their suffixes.

    False, and nothing is sealed, where the source is not sealed, is damaged or lacks one of them.
    """
    try:
        manifest = sealed(source)
    except ContractError:
        return False
    if manifest is None:
        return False
    others = {suffix: storage.read_bytes(source.file(suffix)) for suffix in beside}
    with storage.claim(address.folder, address.stem, wait=True), ExitStack() as stack:
        if sealed(address):
            return True
        parts = {}
        for suffix, promised in manifest.files.items():
            part = parts[suffix] = stack.enter_context(storage.parts_for(address.file(suffix), apart=True))
            if _copy(source.data_file(suffix, promised), part) != promised:
                return False
        if None in others.values():
            return False
        if sealed(address):  # by another host, meanwhile
            return True
        for suffix, part in parts.items():
            storage.publish(part, address.data_file(suffix, manifest.files[suffix]))
        for suffix, data in others.items():
            storage.write_bytes(address.file(suffix), data or b"", apart=True)
        copied = manifest.model_copy(update={"lineage": address.lineage, "index": address.index})
        seal(address, copied, storage.read_bytes(source.file("made.json")))
    return True


def _copy(url: str, part: Path) -> FileDigest | None:
    """What was copied; None for a file that is not there."""
    size, sha = 0, hashlib.sha256()
    try:
        with storage.open_read(url) as stream, part.open("wb") as copy:
            while chunk := stream.read(CHUNK):
                size += len(chunk)
                sha.update(chunk)
                copy.write(chunk)
    except FileNotFoundError:
        return None
    return FileDigest(bytes=size, sha256=sha.hexdigest())
