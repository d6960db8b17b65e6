"""One copy of a remote file for all processes of a host, gone when the last of them is, however it ends."""

import errno
import gc
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data_specs.errors import EngineError, SpecError
from tasks import mapped, storage

DATA = b"pixels" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()
READER = (
    "import sys; from tasks.mapped import mapped; data = mapped(*sys.argv[1:]); print(data[:6], flush=True); input()"
)


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Its file, by a protocol that all processes reach and that counts as far away."""
    (tmp_path / "far.tar").write_bytes(DATA)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mapped._folder.cache_clear()
    yield f"local://{tmp_path}/far.tar"
    mapped._folder.cache_clear()


@pytest.fixture
def other(remote: str) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    started = []

    def start() -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", READER, remote, SHA256]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout and process.stdout.readline() == "b'pixels'\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def copies(folder: Path) -> list[Path]:
    return [path for path in (folder / f"synclr-shards-{os.getuid()}").iterdir() if path.suffix != ".lock"]


def test_a_local_file_is_read_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "near.tar").write_bytes(DATA)
    assert mapped.mapped(str(tmp_path / "near.tar"), SHA256)[6:12] == b"pixels"
    with pytest.raises(FileNotFoundError):
        mapped.mapped(str(tmp_path / "none.tar"), SHA256)


def test_processes_share_one_copy_which_goes_with_the_last(
    remote: str, tmp_path: Path, other: Callable[[], "subprocess.Popen[str]"], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = other()
    [copy] = copies(tmp_path)
    monkeypatch.setattr(storage, "fetch", lambda *_: pytest.fail("fetched twice"))
    data = mapped.mapped(remote, SHA256)
    first.communicate("\n")
    assert copies(tmp_path) == [copy] and data[-6:] == b"pixels"
    del data
    gc.collect()
    assert copies(tmp_path) == []


def test_what_killed_processes_held_is_removed_by_the_next(
    remote: str, tmp_path: Path, other: Callable[[], "subprocess.Popen[str]"]
) -> None:
    killed, living = other(), other()
    part = tmp_path / f"synclr-shards-{os.getuid()}" / f"{'0' * 64}.part-{storage.HOST}-4194999"
    part.touch()
    killed.kill()
    killed.communicate()
    mapped._folder()
    assert [path.name for path in copies(tmp_path)] == [SHA256], "another process reads it"
    living.kill()
    living.communicate()
    mapped._folder.cache_clear()
    mapped._folder()
    assert copies(tmp_path) == []


def test_a_disk_without_stage_and_a_file_that_is_not_there_are_told_apart(
    remote: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError):
        mapped.mapped(remote + ".none", SHA256)

    def fails(number: int) -> Callable[[str, Path], None]:
        def fetch(_url: str, to: Path) -> None:
            to.write_bytes(DATA[:10])
            raise OSError(number, os.strerror(number))

        return fetch

    for number, kind, said in (
        (errno.ENOSPC, SpecError, "No space left on device.*set TMPDIR"),
        (errno.ECONNRESET, EngineError, "cannot be fetched: .*Connection reset"),
    ):
        monkeypatch.setattr(storage, "fetch", fails(number))
        with pytest.raises(kind, match=said):
            mapped.mapped(remote, SHA256)
    assert copies(tmp_path) == []
