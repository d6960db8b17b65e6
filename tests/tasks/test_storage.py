"""Shards on object storage are the same bytes as shards on disk; S3 is an emulator that the test starts."""

import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from data_specs.caption import CONTRACT
from data_specs.errors import SpecError
from data_specs.shard import ShardAddress
from support.builders import make_caption, stage_of
from tasks import storage
from tasks.shards import make_shard, manifests, missing, open_shard, read_rows, read_shard, sealed, verify_shard

CAPTIONS = [make_caption(slot=slot) for slot in range(3)]


@pytest.fixture(scope="module")
def s3_root():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(url, timeout=1)
                break
            except OSError:
                time.sleep(0.2)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", url)
            patch.setenv("AWS_ACCESS_KEY_ID", "test")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            import s3fs

            s3fs.S3FileSystem().mkdir("bucket")
            yield "s3://bucket/root"
    finally:
        server.kill()
        server.wait()


def at(root, index=0):
    return ShardAddress(folder=f"{root}/captions/abc", stage="captions", lineage="abc", index=index)


@pytest.mark.slow(20)
def test_a_shard_on_s3_is_the_shard_on_disk(s3_root, tmp_path):
    remote, local = at(s3_root), at(tmp_path)
    assert sealed(remote) is None
    manifest = make_shard(remote, CONTRACT, lambda: CAPTIONS)
    assert manifest == make_shard(local, CONTRACT, lambda: CAPTIONS)
    for suffix in manifest.files:
        assert storage.read_bytes(remote.file(suffix)) == storage.read_bytes(local.file(suffix))
    assert list(read_shard(remote, CONTRACT, check_digest=True)) == CAPTIONS
    opened, here = open_shard(remote), open_shard(local)
    assert opened.members == here.members and opened.data[:] == here.data[:]
    assert read_rows(remote).num_rows == 3
    assert verify_shard(remote, CONTRACT) == []
    assert make_shard(remote, CONTRACT, lambda: pytest.fail("made twice")) == manifest
    assert "captions-000000.json" in storage.names(remote.folder)
    both = stage_of(remote, count=2)
    assert manifests(both) == [manifest, None] and missing(both) == [1]


@pytest.mark.slow(20)
def test_what_another_process_has_put_on_s3_since_is_listed(s3_root):
    folder = f"{s3_root}/listed"
    storage.write_bytes(f"{folder}/one", b"")
    assert storage.names(folder) == ["one"]
    command = f"from tasks import storage; storage.write_bytes('{folder}/two', b'')"
    subprocess.run([sys.executable, "-c", command], check=True)
    assert storage.names(folder) == ["one", "two"]


@pytest.mark.slow(20)
def test_a_root_on_s3_can_be_written_and_a_bucket_that_is_not_there_cannot(s3_root):
    storage.require_writable(s3_root)
    with pytest.raises(SpecError, match="no-such-bucket"):
        storage.require_writable("s3://no-such-bucket/root")


def test_a_root_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SpecError, match="cannot write to root"):
        storage.require_writable(str(tmp_path / "file" / "root"))


def test_a_url_that_nothing_reads_is_refused():
    with pytest.raises(SpecError, match="cannot reach"):
        storage.read_bytes("nosuch://bucket/key")


def test_a_file_is_published_whole_or_not_at_all(tmp_path):
    url = str(tmp_path / "a" / "b.json")
    storage.write_bytes(url, b"one")
    with pytest.raises(RuntimeError), storage.parts_for(url) as part:
        part.write_bytes(b"tw")
        raise RuntimeError
    assert storage.read_bytes(url) == b"one"
    assert storage.names(str(tmp_path / "a")) == ["b.json"]


def test_what_a_dead_process_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path):
    here = f"a.json.part-{storage.HOST}"
    dead, living, elsewhere, split = (
        tmp_path / f"{here}-4194999",
        tmp_path / f"{here}-{os.getpid()}",
        tmp_path / "a.part-pod-b-7",
        tmp_path / "imagenet.tar.part-aa",
    )
    for part in (dead, living, elsewhere, split):
        part.touch()
    os.utime(split, (0, 0))
    storage.sweep(str(tmp_path))
    assert sorted(tmp_path.iterdir()) == sorted([living, elsewhere, split])


def test_a_checkpoint_that_a_killed_training_was_writing_is_swept_with_its_stage(tmp_path):
    left = tmp_path / "checkpoints" / f"step-00000002.safetensors.part-{storage.HOST}-4194999"
    left.parent.mkdir()
    left.touch()
    storage.sweep(str(tmp_path))
    assert not left.exists()


def test_what_another_host_has_not_touched_for_a_day_is_swept(tmp_path):
    elsewhere = tmp_path / "a.json.part-pod-b-7"
    elsewhere.touch()
    os.utime(elsewhere, (0, 0))
    storage.sweep(str(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow(20)
def test_a_file_that_has_grown_since_its_folder_was_listed_is_read_as_it_is_now(s3_root):
    url = f"{s3_root}/grown/metrics.jsonl"
    storage.write_bytes(url, b"1")
    assert storage.names(f"{s3_root}/grown") == ["metrics.jsonl"]
    script = "import sys; from tasks import storage; storage.write_bytes(sys.argv[1], b'12')"
    subprocess.run([sys.executable, "-c", script, url], check=True, env=os.environ | {"PYTHONPATH": "."})
    with storage.open_read(url) as stream:
        assert stream.seek(0, os.SEEK_END) == 2
    assert storage.read_bytes(url) == b"12"
