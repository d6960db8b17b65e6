"""The digest of a file, and in what a shard's file differs from what was sealed."""

import hashlib
from typing import IO

from data_specs.shard import MARK_CHARACTERS, FileDigest, ShardAddress
from tasks import storage

CHUNK = 1 << 20


def file_digest(stream: IO[bytes]) -> FileDigest:
    size, sha = 0, hashlib.sha256()
    with stream:
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            sha.update(chunk)
    return FileDigest(bytes=size, sha256=sha.hexdigest())


def difference(address: ShardAddress, suffix: str, promised: FileDigest) -> str:
    """In what a file of a shard differs from what was sealed; empty if in nothing."""
    try:
        found = file_digest(storage.open_read(address.data_file(suffix, promised)))
    except FileNotFoundError:
        return "is missing"
    if found == promised:
        return ""
    if found.bytes != promised.bytes:
        what = "truncated" if found.bytes < promised.bytes else "damaged"
        return f"is {what}: {found.bytes:,} bytes, not as sealed ({promised.bytes:,})"
    there, sealed = found.sha256[:MARK_CHARACTERS], promised.sha256[:MARK_CHARACTERS]
    return f"is damaged: sha256 {there}, not as sealed ({sealed})"
