"""Map sealed files into memory, so that all processes of this host share one copy.

A file of a remote root is downloaded once for the host, into the folder for temporary files (TMPDIR). Each reader holds a
shared lock on the copy, which the kernel releases however a process ends; a reader that can lock it exclusively removes it.
"""

import errno
import fcntl
import functools
import mmap
import os
import re
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO

from filelock import FileLock

from data_specs.errors import EngineError, SpecError
from tasks import storage


def mapped(url: str, sha256: str) -> mmap.mmap:
    """The file's content; slices of it are bytes. `sha256` is its digest in the manifest, and the name of a local copy.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty.
        SpecError: there is no room for a local copy.
        EngineError: the download failed otherwise, and may succeed later.
    """
    if storage.is_local(url):
        with storage.open_read(url) as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    folder = _folder()
    path = folder / sha256
    with FileLock(folder / f"{sha256[:1]}.lock"):  # a second process waits here, and finds the copy
        stream = _held(path) or _fetched(url, path)
    found = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    weakref.finalize(found, _let_go, stream, path)
    return found


@functools.cache
def _folder() -> Path:
    """The folder for copies, private to this user, after removing what killed processes left."""
    folder = Path(tempfile.gettempdir(), f"synclr-shards-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise SpecError(f"{folder} belongs to another user: set TMPDIR to a folder of your own")
    storage.sweep(str(folder))
    for path in folder.iterdir():
        if re.fullmatch(r"[0-9a-f]{64}", path.name):
            with suppress(FileNotFoundError):
                _let_go(path.open("rb"), path)
    return folder


def _held(path: Path) -> IO[bytes] | None:
    """The copy with a shared lock; None if there is none, or if its last reader has just removed it."""
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return None
    fcntl.flock(stream, fcntl.LOCK_SH)
    if _is(path, stream):
        return stream
    stream.close()
    return None


def _fetched(url: str, path: Path) -> IO[bytes]:
    with storage.parts_for(str(path)) as part:
        try:
            storage.fetch(url, part)
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise EngineError(f"{url} cannot be fetched: {error}") from error
            raise SpecError(
                f"{url} cannot be copied to {path.parent}: {error}; a training holds 2 x encoder.shuffle_shards shards there: "
                "set TMPDIR to a disk that has room for them"
            ) from error
        stream = part.open("rb")
        fcntl.flock(stream, fcntl.LOCK_SH)  # before it has its name, so that no other process takes it for left behind
        part.rename(path)
    return stream


def _let_go(stream: IO[bytes], path: Path) -> None:
    with stream, suppress(BlockingIOError):
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is(path, stream):
            path.unlink()


def _is(path: Path, stream: IO[bytes]) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    return False
