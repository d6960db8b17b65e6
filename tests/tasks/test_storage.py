"""Shards on object storage are the same bytes as shards on disk; S3 is an emulator that the test starts."""

import errno
import multiprocessing
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from data_specs.caption import CONTRACT
from data_specs.errors import EngineError, SpecError
from data_specs.shard import ShardAddress
from support.builders import make_caption, stage_of
from tasks import storage
from tasks.ownership import unwritable
from tasks.shard_faults import verify_shard
from tasks.shards import make_shard, manifests, missing, open_shard, read_rows, read_shard, sealed

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
    for suffix, content in manifest.files.items():
        there, here = (each.data_file(suffix, content) for each in (remote, local))
        assert storage.read_bytes(there) == storage.read_bytes(here) is not None
    assert list(read_shard(remote, CONTRACT, check_digest=True)) == CAPTIONS
    opened, here = open_shard(remote), open_shard(local)
    assert opened.members == here.members and opened.data[:] == here.data[:]
    assert read_rows(remote).num_rows == 3
    assert verify_shard(remote, CONTRACT) == []
    assert make_shard(remote, CONTRACT, lambda: pytest.fail("made twice")) == manifest
    assert not storage.create(remote.file("json"), b"of another host") and sealed(remote) == manifest
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


@pytest.mark.parametrize("inside", ["", "locks", "locks/captions-000001.lock", ".parts", "metrics.jsonl"])
def test_what_another_user_has_made_under_a_root_is_refused_with_whose_it_is(tmp_path, inside, monkeypatch):
    stage = tmp_path / "captions" / "abc"
    for folder in (stage / "locks", stage / storage.APART):
        folder.mkdir(parents=True)
    for file in (stage / "locks" / "captions-000001.lock", stage / "metrics.jsonl"):
        file.touch()
    storage.require_ours([str(stage), str(tmp_path / "images" / "new")])
    may, theirs = os.access, str(stage / inside)
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != theirs and may(path, mode))
    with pytest.raises(
        SpecError, match=f"cannot write to {theirs}: {theirs} is .*'s .mode [0-9]+.; let its owner"
    ) as refused:
        storage.require_ours([str(stage)])
    assert "--root" in str(refused.value) and "\n" not in str(refused.value)


def test_a_folder_to_be_made_in_one_of_another_user_is_refused(tmp_path, monkeypatch):
    theirs = tmp_path / "captions"
    theirs.mkdir()
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(theirs) and may(path, mode))
    with pytest.raises(SpecError, match=f"cannot write to {theirs}/new: {theirs} is "):
        storage.require_ours([str(theirs / "new")])


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes another user")
def test_a_user_may_not_write_what_a_user_made_under_umask_022():
    """With a real other user: what is said here is what the kernel does."""
    with tempfile.TemporaryDirectory() as here:
        root = Path(here)
        root.chmod(0o755)
        (root / "captions").mkdir(mode=0o755)
        child = os.fork()
        if child == 0:
            os.setresuid(65534, 65534, 65534)
            found = unwritable(root / "captions" / "new"), unwritable(root / "captions")
            try:
                storage.require_writable(str(root))
            except SpecError as error:
                said = f"cannot write to root {str(root)!r}: {root} is root's (mode 755); choose another"
                os._exit(0 if found == (root / "captions",) * 2 and str(error).startswith(said) else 2)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert unwritable(root / "captions" / "new") is None


@pytest.mark.parametrize(
    "error", ["NoCredentialsError", "PartialCredentialsError", "NoRegionError", "TokenRetrievalError"]
)
def test_remote_storage_without_a_key_is_one_line_that_says_which_are_read(error, monkeypatch):
    remote(monkeypatch, type(error, (Exception,), {})("Unable to locate\ncredentials"))
    for call in (storage.read_bytes, storage.names, storage.entries):
        with pytest.raises(
            SpecError, match="cannot reach 's3://bucket/key': Unable to locate credentials; set AWS_ACC"
        ) as refused:
            call("s3://bucket/key")
        assert "AWS_ENDPOINT_URL" in str(refused.value)


def test_remote_storage_that_does_not_answer_is_tried_again_and_refused_before_work(monkeypatch):
    remote(monkeypatch, type("EndpointConnectionError", (Exception,), {})("Could not connect to the endpoint URL"))
    with pytest.raises(EngineError, match="cannot reach 's3://bucket/key': Could not connect"):
        storage.read_bytes("s3://bucket/key")
    with pytest.raises(SpecError, match="cannot write to root 's3://bucket': cannot reach .*: Could not connect"):
        storage.require_writable("s3://bucket")


def remote(monkeypatch, error):
    def fails(*_, **__):
        raise error

    there = type("Remote", (), {name: fails for name in ("open", "exists", "put_file", "cat", "mv", "get_file")})
    monkeypatch.setattr(storage, "_filesystem", lambda url: (there, url))


@pytest.mark.slow(8)
def test_s3_without_credentials_or_without_an_endpoint_is_refused_in_one_line(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nowhere", "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
               "AWS_SHARED_CREDENTIALS_FILE": "/nowhere", "AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1"}  # fmt: skip
    for given, said in (
        (nowhere, "Unable to locate credentials"),
        (nowhere | keys, "Could not connect to the endpoint URL"),
    ):
        script = "from tasks import storage; storage.require_writable('s3://bucket/root')"
        done = subprocess.run([sys.executable, "-c", script], env=os.environ | given | {"PYTHONPATH": "."}, capture_output=True,
                              text=True, timeout=170)  # fmt: skip
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("data_specs.errors.SpecError: cannot ") and said in last, done.stderr[-2000:]


def test_of_all_who_create_a_file_at_once_one_does(tmp_path):
    urls = [f"{tmp_path}/{number}.json" for number in range(50)]
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        told = [list(each) for each in (pool.map(create_each, [urls, urls]))]
    assert [sorted(both) for both in zip(*told, strict=True)] == [[False, True]] * 50
    assert {path.read_bytes() for path in tmp_path.glob("*.json")} == {b"whole"} and not list(
        tmp_path.rglob("*.part-*")
    )


def create_each(urls):
    return [storage.create(url, b"whole") for url in urls]


def test_a_file_system_without_hard_links_creates_as_exclusively(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.EOPNOTSUPP, "no links here")

    monkeypatch.setattr(os, "link", refused)
    assert [storage.create(f"{tmp_path}/a", data) for data in (b"first", b"second")] == [True, False]
    assert storage.read_bytes(f"{tmp_path}/a") == b"first" and storage.names(str(tmp_path)) == [".parts", "a"]


@pytest.mark.parametrize(
    "said", [OSError(22, "At least one of the pre-conditions"), OSError(5, "conflict"), FileExistsError()]
)
def test_however_a_store_says_that_a_file_is_there_it_stays_and_what_is_not_there_is_tried_again(monkeypatch, said):
    def refused(*_, **__):
        raise said

    there = type("Remote", (), {"pipe_file": refused})
    monkeypatch.setattr(storage, "_filesystem", lambda url: (there, url))
    monkeypatch.setattr(storage, "read_bytes", {"s3://b/there": b"first"}.get)
    assert storage.create("s3://b/there", b"second") is False
    with pytest.raises(EngineError, match="s3://b/new"):
        storage.create("s3://b/new", b"second")


def test_a_link_that_was_made_though_its_answer_was_lost_is_ours(tmp_path, monkeypatch):
    def lost(part, target):
        link(part, target)
        raise FileExistsError(errno.EEXIST, "asked again")

    link = os.link
    monkeypatch.setattr(os, "link", lost)
    assert storage.create(f"{tmp_path}/a", b"first")
    monkeypatch.undo()
    assert not storage.create(f"{tmp_path}/a", b"second") and storage.read_bytes(f"{tmp_path}/a") == b"first"


def test_a_home_is_meant_by_its_sign(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    storage.write_bytes("~/root/a", b"1")
    assert storage.read_bytes(str(tmp_path / "root" / "a")) == b"1" and storage.names("file://~/root") == ["a"]
    assert storage.expanded("~/root") == storage.expanded("file://~/root") == str(tmp_path / "root")
    assert storage.expanded("s3://bucket/~/x") == "s3://bucket/~/x" and storage.expanded("a/~b") == "a/~b"
    with pytest.raises(SpecError, match="'~nobody-here/x': there is no such home folder"):
        storage.expanded("~nobody-here/x")


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


def test_a_folder_is_listed_by_name_whatever_the_order_of_its_disk(tmp_path):
    known = [f"{number:03d}.txt" for number in range(60)]
    for far in (str(tmp_path / "here"), f"memory://{tmp_path.name}"):
        for name in random.Random(0).sample(known, len(known)):
            storage.write_bytes(f"{far}/{name}", b"")
        assert storage.names(far) == known


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
