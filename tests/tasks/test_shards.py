"""The laws of shards: nothing lost, nothing twice, sealed or not there, and nothing read that was not sealed."""

import io
import json
import multiprocessing
import os
import signal
import tarfile
import time
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data_specs.caption import CONTRACT
from data_specs.errors import ContractError, EngineError
from data_specs.rejection import Rejection
from data_specs.shard import MadeBy
from support.builders import make_caption, stage_of
from support.shard_files import file_of
from tasks import storage
from tasks.claimed_shards import missing_first
from tasks.events import ShardSealed
from tasks.shard_faults import verify_shard
from tasks.shard_leftovers import put_aside, sweep_unsealed
from tasks.shards import (
    discard,
    make_shard,
    manifests,
    missing,
    open_shard,
    read_rejects,
    read_rows,
    read_shard,
    require_manifests,
    sealed,
    sealed_shards,
)

CAPTIONS = [make_caption(slot=slot) for slot in range(5)]


def tar_of(address):
    return file_of(address, "tar")


def test_what_is_written_is_what_is_read(address):
    make_shard(address(), CONTRACT, lambda: CAPTIONS)
    assert list(read_shard(address(), CONTRACT, check_digest=True)) == CAPTIONS


def test_in_is_accepted_plus_rejected(address):
    refused = [Rejection("x", "empty"), Rejection("y", "empty", "text ☕"), Rejection("z", "too_long", "long")]
    manifest = make_shard(address(), CONTRACT, lambda: [*CAPTIONS, *refused])
    assert (manifest.accepted, manifest.rejected) == (5, {"empty": 2, "too_long": 1})
    assert read_rejects(address()) == refused


def test_the_sidecar_has_one_row_a_sample_and_needs_no_tar(address):
    make_shard(address(), CONTRACT, lambda: CAPTIONS)
    tar_of(address()).unlink()
    rows = read_rows(address())
    assert rows.column("id").to_pylist() == [caption.id for caption in CAPTIONS]
    assert pq.read_schema(file_of(address(), "parquet")).equals(CONTRACT.schema)


def test_a_sealed_shard_is_not_made_again(address):
    done = make_shard(address(), CONTRACT, lambda: CAPTIONS)
    assert make_shard(address(), CONTRACT, lambda: pytest.fail("asked again")) == done


def test_the_same_content_is_the_same_bytes_wherever_it_is_made(tmp_path, address):
    here = address()
    there = here.model_copy(update={"folder": str(tmp_path / "elsewhere")})
    for place in (here, there):
        make_shard(place, CONTRACT, lambda: CAPTIONS, made_by=MadeBy(place.folder))
    for suffix in ("tar", "parquet", "rejects.jsonl", "json"):
        assert file_of(here, suffix).read_bytes() == file_of(there, suffix).read_bytes()
        assert file_of(here, suffix).name == file_of(there, suffix).name


def test_a_shard_cut_short_is_not_sealed_and_can_be_made_again(address):
    def cut_short():
        yield CAPTIONS[0]
        raise EngineError("boom")

    with pytest.raises(EngineError):
        make_shard(address(), CONTRACT, cut_short)
    assert sealed(address()) is None
    assert not list(Path(address().folder).rglob("*.part-*"))
    assert make_shard(address(), CONTRACT, lambda: CAPTIONS).accepted == 5


@pytest.fixture
def apart(monkeypatch):
    """As on two hosts, or on remote storage: nobody sees what another has claimed."""
    monkeypatch.setattr(storage, "claim", lambda *_, **__: nullcontext(True))


def woken_late(address, others):
    """Outcomes of a host that freezes at its first record, while another makes the shard of `others` and seals it."""
    yield CAPTIONS[0]
    with pytest.MonkeyPatch.context() as there:
        there.setattr(storage, "HOST", "other")
        make_shard(address, CONTRACT, lambda: others, made_by=MadeBy("other"))
    yield from CAPTIONS[1:]


@pytest.mark.parametrize("others", [CAPTIONS, CAPTIONS[:2]], ids=["the same bytes", "other bytes"])
def test_of_two_hosts_that_make_a_shard_the_first_to_seal_it_counts(address, apart, others):
    manifest = make_shard(address(), CONTRACT, lambda: woken_late(address(), others), made_by=MadeBy("late"))
    assert manifest.accepted == len(others) and list(read_shard(address(), CONTRACT, check_digest=True)) == others
    assert verify_shard(address(), CONTRACT) == []
    assert json.loads(file_of(address(), "made.json").read_bytes())["run"] == "other"
    assert len(storage.names(address().folder)) == 5 + 1, (
        "five files and the folder of parts: those of the late one are gone"
    )


def test_what_hosts_that_were_killed_before_they_could_seal_have_left_goes_once_the_shard_is_sealed(
    address, apart, monkeypatch
):
    def dies(*_):
        raise KeyboardInterrupt

    for made in (CAPTIONS[:2], CAPTIONS[:3]):
        with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
            dying.setattr(storage, "create", dies)
            make_shard(address(), CONTRACT, lambda made=made: made)
    left = set(storage.names(address().folder))
    sweep_unsealed(stage_of(address()))
    assert set(storage.names(address().folder)) == left, "it may be sealed at any moment"
    make_shard(address(), CONTRACT, lambda: CAPTIONS)
    make_shard(address(1), CONTRACT, lambda: CAPTIONS[:1])
    sweep_unsealed(stage_of(address(), count=2))
    assert left & set(storage.names(address().folder)) <= {".parts", file_of(address(), "rejects.jsonl").name}
    assert verify_shard(address(), CONTRACT) == verify_shard(address(1), CONTRACT) == []


def test_what_is_sealed_while_it_is_put_aside_is_whole_or_made_again(address, apart, monkeypatch):
    """Another host puts aside what it took for left behind, between the maker's last data file and its manifest."""
    create = storage.create

    def late(url, data):
        monkeypatch.setattr(storage, "create", create)
        put_aside(address(), "no manifest")
        return create(url, data)

    monkeypatch.setattr(storage, "create", late)
    with pytest.raises(EngineError, match="put aside"):
        make_shard(address(), CONTRACT, lambda: CAPTIONS)
    assert sealed(address()) is None
    make_shard(address(), CONTRACT, lambda: CAPTIONS)
    assert verify_shard(address(), CONTRACT) == []


def test_what_is_sealed_while_its_files_are_moved_aside_comes_back(address, apart, monkeypatch):
    manifest = make_shard(address(), CONTRACT, lambda: CAPTIONS)
    move = storage.move

    def sealed_again(url, to):
        move(url, to)
        if url.endswith(".json"):
            storage.create(url, manifest.model_dump_json().encode())

    monkeypatch.setattr(storage, "move", sealed_again)
    put_aside(address(), "torn")
    assert verify_shard(address(), CONTRACT) == []


def test_a_shard_that_is_whole_by_the_time_nobody_works_on_it_stays(address):
    make_shard(address(), CONTRACT, lambda: CAPTIONS)
    assert put_aside(address(), "torn", lambda: verify_shard(address(), CONTRACT)) is None
    assert verify_shard(address(), CONTRACT) == []


def test_a_file_that_is_sealed_while_it_is_discarded_comes_back(address, monkeypatch):
    manifest = make_shard(address(), CONTRACT, lambda: CAPTIONS)
    name = address().data_name("tar", manifest.files["tar"])
    discard(address(), name)
    assert verify_shard(address(), CONTRACT) == []
    storage.remove(address().file("json"))
    discard(address(), name)
    assert name not in storage.names(address().folder) and not list(Path(address().folder).rglob("*.part-*"))


def test_a_check_can_refuse_to_seal(address):
    def too_many(accepted: int, rejected: Counter[str]) -> None:
        raise ContractError(f"{accepted} of {accepted + rejected.total()}")

    with pytest.raises(ContractError, match="5 of 6"):
        make_shard(address(), CONTRACT, lambda: [*CAPTIONS, Rejection("x", "empty")], check=too_many)
    assert sealed(address()) is None


@pytest.mark.parametrize("suffix", ["parquet", "rejects.jsonl", "tar", "json"])
def test_whatever_file_a_writer_dies_at_the_shard_is_not_sealed_and_can_be_made_again(suffix, address, monkeypatch):
    def die_at(do):
        def done(*words):
            if any(str(word).endswith(f".{suffix}") and "captions-" in str(word) for word in words):
                raise KeyboardInterrupt
            return do(*words)

        return done

    with monkeypatch.context() as dying:
        for name in ("publish", "create"):
            dying.setattr(storage, name, die_at(getattr(storage, name)))
        with pytest.raises(KeyboardInterrupt):
            make_shard(address(), CONTRACT, lambda: CAPTIONS)
    assert sealed(address()) is None
    assert make_shard(address(), CONTRACT, lambda: CAPTIONS).accepted == 5
    assert verify_shard(address(), CONTRACT) == []


def test_a_damaged_shard_counts_as_none_from_the_first_moment_of_its_move_and_loses_no_file(address, monkeypatch):
    make_shard(address(), CONTRACT, lambda: CAPTIONS)
    folder, move = Path(address().folder), storage.move
    whole = {path.name for path in folder.glob("captions-*")}

    def die_after(url, to):
        move(url, to)
        raise KeyboardInterrupt

    monkeypatch.setattr(storage, "move", die_after)
    with pytest.raises(KeyboardInterrupt):
        put_aside(address(), "torn")
    assert sealed(address()) is None
    left = {path.name for path in folder.rglob("captions-*.*") if path.suffix != ".lock"}
    assert left == whole


def test_nothing_in_a_shard_says_when_or_by_whom_it_was_written(address):
    """A second of difference between two machines would be another digest."""
    make_shard(address(), CONTRACT, lambda: CAPTIONS)
    with tarfile.open(tar_of(address())) as archive:
        members = archive.getmembers()
    assert len(members) == 5 and {member.mtime for member in members} == {0}
    assert len({(member.uid, member.gid, member.uname, member.gname, member.mode) for member in members}) == 1


def test_two_lineages_live_side_by_side(address):
    make_shard(address(lineage="abc"), CONTRACT, lambda: CAPTIONS)
    make_shard(address(lineage="def"), CONTRACT, lambda: CAPTIONS[:2])
    assert sealed(address(lineage="abc")).accepted == 5
    assert sealed(address(lineage="def")).accepted == 2


@pytest.mark.parametrize("suffix", ["tar", "parquet", "rejects.jsonl"])
def test_one_flipped_byte_is_found(address, suffix):
    make_shard(address(), CONTRACT, lambda: [*CAPTIONS, Rejection("x", "empty")])
    assert verify_shard(address(), CONTRACT) == []
    path = file_of(address(), suffix)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert len(verify_shard(address(), CONTRACT)) == 1


def test_a_missing_file_and_a_missing_manifest_are_found(address):
    make_shard(address(), CONTRACT, lambda: CAPTIONS)
    tar_of(address()).unlink()
    assert "missing" in verify_shard(address(), CONTRACT)[0]
    storage.local_path(address().file("json")).unlink()
    assert "never sealed" in verify_shard(address(), CONTRACT)[0]


def test_a_damaged_tar_is_refused_before_its_first_record_on_request(address):
    make_shard(address(), CONTRACT, lambda: CAPTIONS)
    tar_of(address()).write_bytes(b"\0" * 10240)
    with pytest.raises(ContractError, match="damaged"):
        next(read_shard(address(), CONTRACT, check_digest=True))
    with pytest.raises(ContractError, match="holds 0 samples; 5 were sealed"):
        list(read_shard(address(), CONTRACT))


@pytest.mark.parametrize("cut", [0, 8, 400, -5, None])
def test_a_table_that_is_damaged_or_gone_is_told_by_its_name(address, cut):
    make_shard(address(), CONTRACT, lambda: [*CAPTIONS, Rejection("x", "empty")])
    table = file_of(address(), "parquet")
    data = table.read_bytes()
    table.unlink() if cut is None else table.write_bytes(data[:cut] if cut >= 0 else data[:-12] + b"xxxx" + data[-8:])
    with pytest.raises(ContractError, match=r"captions-000000\.\w{12}\.parquet (cannot be read|is missing)"):
        read_rows(address())


@pytest.mark.parametrize("line", [b'{"key": "x"', b"\xff", b'{"key": "x", "other": 1}', b"[]"])
def test_rejects_that_are_damaged_are_told_by_their_name(address, line):
    make_shard(address(), CONTRACT, lambda: CAPTIONS)
    file_of(address(), "rejects.jsonl").write_bytes(line)
    with pytest.raises(ContractError, match=r"captions-000000\.\w{12}\.rejects\.jsonl is damaged"):
        read_rejects(address())


def test_members_are_found_where_they_lie(address, tmp_path):
    far = address().model_copy(update={"folder": f"memory://{tmp_path.name}"})
    for place in (address(), far):
        make_shard(place, CONTRACT, lambda: CAPTIONS)
        opened = open_shard(place)
        assert [opened.data[members["json"]] for members in opened.members.values()] == [
            CONTRACT.encode(caption)["json"] for caption in CAPTIONS
        ]
        assert list(opened.members) == [caption.id for caption in CAPTIONS]


@pytest.mark.parametrize(("kept", "said"), [(0, "cannot be read"), (700, "cannot be read"), (10240, "5 were sealed")])
def test_a_tar_cut_short_is_not_opened(kept, said, address):
    make_shard(address(), CONTRACT, lambda: CAPTIONS)
    whole = tar_of(address()).read_bytes()
    tar_of(address()).write_bytes(whole[:kept] if kept < 10240 else b"\0" * kept)
    with pytest.raises(ContractError, match=said):
        open_shard(address())


def test_a_manifest_of_another_shard_or_no_manifest_at_all_is_refused(address):
    make_shard(address(0), CONTRACT, lambda: CAPTIONS)
    storage.local_path(address(0).file("json")).rename(address(1).file("json"))
    with pytest.raises(ContractError, match="the file was moved"):
        sealed(address(1))
    storage.local_path(address(1).file("json")).write_text("{")
    with pytest.raises(ContractError, match="not a manifest"):
        sealed(address(1))


def _member(kind: str) -> tarfile.TarInfo:
    names = {"absolute": "/etc/passwd", "outside": "../a.json", "link": "a.json", "device": "a.json"}
    item = tarfile.TarInfo(names[kind])
    item.type = {"link": tarfile.SYMTYPE, "device": tarfile.CHRTYPE}.get(kind, tarfile.REGTYPE)
    item.linkname = "/etc/passwd" if kind == "link" else ""
    return item


@pytest.mark.parametrize("kind", ["absolute", "outside", "link", "device"])
def test_a_member_that_could_reach_outside_is_refused(address, kind):
    make_shard(address(), CONTRACT, lambda: CAPTIONS)
    with tarfile.open(tar_of(address()), "w") as archive:
        archive.addfile(_member(kind), io.BytesIO(b""))
    with pytest.raises(ContractError, match="refused"):
        list(read_shard(address(), CONTRACT))


def test_a_key_with_a_dot_is_refused_when_written(address):
    with pytest.raises(ContractError, match="dot"):
        make_shard(address(), CONTRACT, lambda: [make_caption().__class__(**_fields("a.b"))])


def _fields(key):
    from dataclasses import asdict

    return asdict(make_caption()) | {"id": key}


def _hold(address, ready, let_go):
    def slow():
        ready.set()
        let_go.wait(60)
        yield from CAPTIONS

    make_shard(address, CONTRACT, slow, made_by=MadeBy("first", "flow-run-1"))


def _stuck(address, ready, _let_go):
    def endless():
        yield CAPTIONS[0]
        ready.set()
        time.sleep(600)

    make_shard(address, CONTRACT, endless)


def _stuck_at_the_seal(address, ready, _let_go):
    def until_killed(part, manifest):
        ready.set()
        time.sleep(600)

    os.link = until_killed
    make_shard(address, CONTRACT, lambda: CAPTIONS)


@pytest.fixture
def other_process():
    context = multiprocessing.get_context("fork")
    started = []

    def start(target, address):
        ready, let_go = context.Event(), context.Event()
        process = context.Process(target=target, args=(address, ready, let_go))
        process.start()
        started.append(process)
        assert ready.wait(60)
        return process, let_go

    yield start
    for process in started:
        process.kill()
        process.join()


def test_a_second_process_waits_for_the_shard_and_says_so(address, other_process):
    _, let_go = other_process(_hold, address())
    notices = []

    def emit(event):
        notices.append(event)
        let_go.set()

    manifest = make_shard(address(), CONTRACT, lambda: pytest.fail("made twice"), made_by=MadeBy("second"), emit=emit)
    assert manifest.accepted == 5
    assert [(one.run, one.stage) for one in notices] == [("second", "captions")] * 2
    assert notices[1] == ShardSealed("second", "captions", 0)
    assert "being made by another process" in notices[0].text
    made = json.loads(storage.read_bytes(address().file("made.json")))
    assert (made["run"], made["flow_run"]) == ("first", "flow-run-1")


def test_a_second_process_takes_other_shards_first(address, other_process):
    _, let_go = other_process(_hold, address(0))
    order = []
    for one in missing_first([address(0), address(1), address(2)]):
        order.append(one.index)
        if one.index == 2:
            let_go.set()
    assert order == [1, 2, 0]


def test_a_stage_is_read_at_once_as_shard_by_shard(address):
    for index in (0, 2):
        make_shard(address(index), CONTRACT, list)
    stage = stage_of(address(), count=3)
    assert missing(stage) == [1] and sealed_shards(stage) == [address(0), address(2)]
    assert manifests(stage) == [sealed(one) for one in stage.shards()]
    assert missing(stage_of(address(), count=0)) == []
    with pytest.raises(ContractError, match="000001.json is missing"):
        require_manifests(stage)


@pytest.mark.parametrize("stuck", [_stuck, _stuck_at_the_seal])
def test_a_killed_writer_leaves_nothing_that_counts_and_nothing_that_stays(address, other_process, stuck):
    process, _ = other_process(stuck, address())
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    folder = Path(address().folder)
    assert sealed(address()) is None and list(folder.rglob("*.part-*"))
    assert make_shard(address(), CONTRACT, lambda: CAPTIONS).accepted == 5
    assert not list(folder.rglob("*.part-*"))
