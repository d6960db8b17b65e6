"""Files by local path or fsspec URL: read, publish whole or not at all, list, claim."""

import errno
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import fsspec
from filelock import FileLock, Timeout

from data_specs.errors import EngineError, SpecError, SynclrError, in_one_line
from tasks.ownership import owned, unwritable

HOST = socket.gethostname()
"""The name of this machine or container: with the process id, part of the name of a file that is being written."""
DAY = 24 * 3600
MEANWHILE_SECONDS = 5.0
WAYS_IN = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_ENDPOINT_URL for a store that is not Amazon's",
}
"""What a kind of remote storage reads from the environment, for messages."""
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
APART = ".parts"
"""Subfolder in which a shard's files are written before they are published. Leftovers of killed processes are searched there
and not among the 50,000 names of the stage, which took 91 ms a shard in a stage of 7,300."""


def is_local(url: str) -> bool:
    return "://" not in url or url.startswith("file://")


def local_path(url: str) -> Path:
    """`~` is the home folder: shells expand it at the beginning of a word only, files of settings and forms never."""
    path = Path(url.removeprefix("file://"))
    try:
        return path.expanduser()
    except RuntimeError:  # `~somebody`, whom nobody knows, is a name like any other
        return path


def expanded(url: str) -> str:
    """With the home folder in place of `~`; otherwise as it is. Raises SpecError if there is no such home."""
    path = url.removeprefix("file://")
    if not path.startswith("~"):
        return url
    try:
        return str(Path(path).expanduser())
    except RuntimeError as error:
        raise SpecError(
            f"{url!r}: there is no such home folder; give a path without ~, or ./~ for a folder of that name"
        ) from error


def absolute(url: str) -> str:
    """Absolute path or URL."""
    return str(local_path(url).resolve()) if is_local(url) else url


def _filesystem(url: str) -> tuple[Any, str]:
    try:
        # Listings are not cached: other processes write meanwhile, and s3fs refuses a file that differs from its listing.
        filesystem, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
        return filesystem, str(path)
    except (ValueError, ImportError) as error:
        raise SpecError(f"cannot reach {url!r}: {error}; use a local path or a URL that fsspec knows") from error


@contextmanager
def _reaching(url: str) -> Iterator[None]:
    """Around a request to remote storage, each of which has a client with errors of its own; those of files pass as they are.

    Raises SpecError where no key is given, EngineError where the storage does not answer, which another try may change.
    """
    try:
        yield
    except (OSError, SynclrError):
        raise
    except Exception as error:
        why, kind = in_one_line(error), type(error).__name__
        if any(word in kind for word in ("Credential", "Region", "Token", "Auth", "Profile", "ParamValidation")):
            raise SpecError(
                f"cannot reach {url!r}: {why}; {WAYS_IN.get(url.partition('://')[0], 'give it its keys')}"
            ) from error
        raise EngineError(
            f"cannot reach {url!r}: {why}; {WAYS_IN.get(url.partition('://')[0], 'is it there?')}"
        ) from error


def open_read(url: str) -> IO[bytes]:
    stream: IO[bytes]
    if is_local(url):
        stream = local_path(url).open("rb")
    else:
        filesystem, path = _filesystem(url)
        with _reaching(url):
            stream = filesystem.open(path, "rb")
    return stream


def read_bytes(url: str) -> bytes | None:
    """The content of a file, or None if it does not exist."""
    try:
        with _reaching(url), open_read(url) as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def fetch(url: str, to: Path) -> None:
    """Download a remote file to a local path. Raises FileNotFoundError."""
    filesystem, path = _filesystem(url)
    with _reaching(url):
        filesystem.get_file(path, str(to))


def read_all(urls: Sequence[str]) -> list[bytes | None]:
    """The contents of many small files, None for those that do not exist: from object storage 100 a round trip, not one."""
    if not urls or is_local(urls[0]):
        return [read_bytes(url) for url in urls]
    filesystem, _ = _filesystem(urls[0])
    paths = [_filesystem(url)[1] for url in urls]
    with _reaching(urls[0]):
        found = filesystem.cat(paths, on_error="return")
        for error in found.values():
            if isinstance(error, Exception) and not isinstance(error, FileNotFoundError):
                raise error
    return [data if isinstance(data := found[path], bytes) else None for path in paths]


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder. `kind` is `other` for what is neither, such as a link to nothing or a named pipe."""

    name: str
    kind: Literal["file", "folder", "other"]
    size: int


def entries(folder: str) -> list[Entry]:
    """What lies in a folder, sorted by name; empty where there is none. Raises OSError for one that cannot be listed."""
    if not is_local(folder):
        filesystem, path = _filesystem(folder)
        with _reaching(folder):
            listed = filesystem.ls(path, detail=True) if filesystem.exists(path) else []
        kinds: dict[str, Literal["file", "folder", "other"]] = {"file": "file", "directory": "folder"}
        found = [
            Entry(name, kinds.get(each["type"], "other"), int(each.get("size") or 0))
            for each in listed
            # Some stores list a folder itself as an empty file.
            if (name := str(each["name"]).rstrip("/").rsplit("/", 1)[-1]) and str(each["name"]).rstrip("/") != path
        ]
    else:
        here = local_path(folder)
        found = [_local_entry(entry) for entry in os.scandir(here)] if here.is_dir() else []
    return sorted(found, key=lambda entry: entry.name)


def _local_entry(entry: "os.DirEntry[str]") -> Entry:
    if entry.is_dir():
        return Entry(entry.name, "folder", 0)
    return Entry(entry.name, "file", entry.stat().st_size) if entry.is_file() else Entry(entry.name, "other", 0)


def names(folder: str) -> list[str]:
    """Names of the files in a folder, sorted; empty where there is none."""
    if is_local(folder):
        here = local_path(folder)
        return sorted(entry.name for entry in here.iterdir()) if here.is_dir() else []
    filesystem, path = _filesystem(folder)
    with _reaching(folder):
        if not filesystem.exists(path):
            return []
        return sorted(str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in filesystem.ls(path, detail=False))


def publish(part: Path, url: str) -> None:
    """Move a finished local file to its final name; it is durable before it is visible, and never seen half-written.

    Locally: fsync, rename, fsync of the folder. Elsewhere one put, which object stores make atomic.
    """
    if is_local(url):
        _sync(part)
        target = local_path(url)
        part.replace(target)
        _sync(target.parent)
    else:
        filesystem, path = _filesystem(url)
        with _reaching(url):
            filesystem.put_file(str(part), path)
        part.unlink()


def write_bytes(url: str, data: bytes, *, apart: bool = False) -> None:
    """Publish a small file whole."""
    with parts_for(url, apart=apart) as part:
        part.write_bytes(data)
        publish(part, url)


def create(url: str, data: bytes) -> bool:
    """Publish a small file whole, unless there is one of that name, which stays: of all who try, on any host, one hears True."""
    if not is_local(url):
        filesystem, path = _filesystem(url)
        try:
            with _reaching(url):
                filesystem.pipe_file(path, data, mode="create")
        except OSError as error:  # stores say in many ways that there is one
            if read_bytes(url) is None:
                raise EngineError(f"cannot reach {url!r}: {in_one_line(error)}") from error
            return False
        return True
    with parts_for(url, apart=True) as part:
        part.write_bytes(data)
        _sync(part)
        return _link(part, local_path(url))


def _link(part: Path, target: Path) -> bool:
    """A rename would replace what is there; a hard link does not, and is there whole or not at all."""
    try:
        os.link(part, target)
    except FileExistsError:
        # Over NFS the answer to a link that was made may be lost, and asked for again.
        if part.stat().st_nlink == 1:
            return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        return _copy_to_new(part, target)
    _sync(target.parent)
    return True


def _copy_to_new(part: Path, target: Path) -> bool:
    """Where a file system has no hard links: as exclusive, but a process that is killed here leaves a file that was cut short."""
    try:
        stream = target.open("xb")
    except FileExistsError:
        return False
    try:
        with stream:
            stream.write(part.read_bytes())
        _sync(target)
    except BaseException:
        target.unlink()
        raise
    _sync(target.parent)
    return True


def _sync(path: Path) -> None:
    """Of a file its content, of a folder its names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exists(url: str) -> bool:
    if is_local(url):
        return local_path(url).exists()
    filesystem, path = _filesystem(url)
    with _reaching(url):
        return bool(filesystem.exists(path))


def move(url: str, to: str) -> None:
    """Move one file under the same root; creates the target folder."""
    if is_local(url):
        target = local_path(to)
        target.parent.mkdir(parents=True, exist_ok=True)
        local_path(url).rename(target)
        return
    filesystem, path = _filesystem(url)
    with _reaching(url):
        filesystem.mv(path, _filesystem(to)[1])


def remove(url: str) -> None:
    """Remove one file if it exists."""
    if is_local(url):
        local_path(url).unlink(missing_ok=True)
        return
    filesystem, path = _filesystem(url)
    with _reaching(url):
        if filesystem.exists(path):
            filesystem.rm_file(path)


@contextmanager
def parts_for(url: str, *, apart: bool = False) -> Iterator[Path]:
    """A path to write a file to before it is published: on the same disk if local, so that a rename is enough."""
    if is_local(url):
        target = local_path(url)
        part = target.parent / (APART if apart else "") / f"{target.name}.part-{HOST}-{os.getpid()}"
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
        except OSError as error:
            if error.filename is None:  # a full disk is told without one
                error.filename = str(target)
            raise
        finally:
            part.unlink(missing_ok=True)
    else:
        # One folder each, since two shards are written at once.
        with tempfile.TemporaryDirectory(prefix=f"synclr-{os.getpid()}-") as scratch:
            yield Path(scratch) / url.rsplit("/", 1)[-1]


def sweep(folder: str) -> None:
    """Remove half-written files of processes that have ended, in a folder of this project and its direct subfolders.

    The folder may be shared with other hosts and containers, whose processes cannot be seen from here: their files count
    as left behind when they have not been touched for a day.
    """
    if is_local(folder):
        here = local_path(folder)
        _remove_left(*here.glob("*.part-*"), *here.glob("*/*.part-*"))


def _remove_left(*parts: Path) -> None:
    for part in parts:
        with suppress(FileNotFoundError):
            if _left(part):
                part.unlink()


def _left(part: Path) -> bool:
    host, _, process = part.name.rsplit(".part-", 1)[1].rpartition("-")
    if not host or not process.isdigit():
        return False  # not a name that `parts_for` gives
    if host == HOST:
        return not Path(f"/proc/{process}").exists()
    return time.time() - part.stat().st_mtime > DAY


@contextmanager
def claim(folder: str, name: str, *, wait: bool, meanwhile: Callable[[], None] = lambda: None) -> Iterator[bool]:
    """Hold `name` exclusively among the processes of this host; yields False if another holds it and `wait` is off.

    While it waits, it calls `meanwhile` every few seconds. The operating system releases the claim of a process that dies.
    On remote storage every claim succeeds, and no claim is seen by another host: two that make one shard both work, and the first
    who seals it counts (see `create`).
    """
    if not is_local(folder):
        yield True
        return
    locks = local_path(folder) / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"{name}.lock")
    while not lock.is_locked:
        try:
            lock.acquire(timeout=MEANWHILE_SECONDS if wait else 0)
        except Timeout:
            if not wait:
                yield False
                return
            meanwhile()
    try:
        yield True
    finally:
        lock.release()


def require_writable(root: str) -> None:
    """Raises SpecError if nothing can be written under `root`."""
    try:
        write_bytes(f"{root.rstrip('/')}/.writable", b"")
        if is_local(root):
            (local_path(root) / ".writable").unlink(missing_ok=True)
            # Other files in the root may be anybody's.
            _remove_left(*local_path(root).glob(".writable.part-*"))
    except (OSError, EngineError) as error:
        theirs = unwritable(local_path(root)) if is_local(root) else None
        raise SpecError(
            f"cannot write to root {root!r}: {owned(theirs) if theirs else error}; choose another with --root or SYNCLR_ROOT"
        ) from error


def require_ours(folders: Iterable[str]) -> None:
    """Raises SpecError if one of these folders, which another user of the root may have made, cannot be written."""
    for folder in map(local_path, filter(is_local, folders)):
        inside = [path for path in (folder / APART, folder / "locks") if path.is_dir()]
        for path in (folder, *inside, *(folder / "locks").glob("*.lock"), *folder.glob("*.jsonl")):
            if wrong := unwritable(path):
                raise SpecError(
                    f"cannot write to {path}: {owned(wrong)}; let its owner give the group its rights (chmod -R g+rwX, and "
                    "umask 002 from then on), or choose another root with --root or SYNCLR_ROOT"
                )
