"""`repair` moves damaged and half-missing shards aside, whole; `status` sees a tar that is gone; messages begin with the cure."""

import json
import pickle
import shlex
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from data_specs import caption, image_group
from data_specs.errors import ShardError, SpecError
from flows.cli.app import app
from flows.repair.put_damaged_aside import put_damaged_aside
from flows.runs.commands import run_again
from flows.runs.plan import RunPlan
from flows.runs.status import status
from support.made_up_run import make_run
from support.shard_files import file_of
from tasks.shards import missing, open_shard, read_shard


@pytest.fixture
def plan(tmp_path) -> RunPlan:
    return make_run(str(tmp_path), name="first", until="images", captions={"total": 24})


def files(plan: RunPlan, stem: str, folder: str | None = None) -> dict[str, bytes]:
    here = Path(folder or plan.stages[stem.partition("-")[0]].folder)
    return {path.name: path.read_bytes() for path in sorted(here.glob(f"{stem}.*"))}


def synclr(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_all_files_of_a_damaged_shard_are_moved_with_the_reason_and_others_stay(plan):
    tar = file_of(plan.stages["captions"].shard(1), "tar")
    tar.write_bytes(tar.read_bytes()[:-700])
    before, neighbour = files(plan, "captions-000001"), files(plan, "captions-000000")
    repaired = put_damaged_aside(plan.root, "first")
    [moved] = repaired["put_aside"]
    assert (moved["shard"], moved["stage"]) == (
        "captions-000001",
        "captions",
    ) and f"{tar.name} is truncated: " in moved["faults"][0]
    assert len(before) == 5 and files(plan, "captions-000001", moved["folder"]) == before
    assert json.loads((Path(moved["folder"]) / "reason.json").read_text())["faults"] == moved["faults"]
    assert files(plan, "captions-000001") == {} and files(plan, "captions-000000") == neighbour
    assert missing(plan.stages["captions"]) == [1], "the next run makes it again"
    assert repaired["checked"] == 7 and put_damaged_aside(plan.root, "first")["put_aside"] == []


def test_other_runs_that_lack_the_shard_meanwhile_are_told(plan):
    make_run(plan.root, name="second", until="images", captions={"total": 24}, images={"guidance_scale": 5.0})
    for stage, others in (("captions", ["second"]), ("images", [])):
        file_of(plan.stages[stage].shard(0), "tar").unlink()
        [moved] = put_damaged_aside(plan.root, "first", f"{stage}-000000")["put_aside"]
        assert moved["also_of"] == others
    file_of(plan.stages["captions"].shard(1), "tar").unlink()
    said = synclr("repair", "first", "--root", plan.root).output
    assert "part of 1 other run too: second" in said


@pytest.mark.parametrize("suffix", ["tar", "json", "parquet", "rejects.jsonl"])
def test_a_shard_of_which_any_file_is_gone_is_moved_whole(plan, suffix):
    gone = file_of(plan.stages["images"].shard(0), suffix)
    gone.unlink()
    rest = files(plan, "images-000000")
    [moved] = put_damaged_aside(plan.root, "first", "images-000000")["put_aside"]
    assert f"{gone.name} is missing" in moved["faults"][0]
    assert files(plan, "images-000000", moved["folder"]) == rest and files(plan, "images-000000") == {}
    assert missing(plan.stages["images"]) == [0]


def test_a_shard_that_is_named_is_looked_at_alone_and_one_that_there_is_not_is_refused(plan):
    for index in (0, 1):
        file_of(plan.stages["images"].shard(index), "tar").unlink()
    repaired = put_damaged_aside(plan.root, "first", "images-000001")
    assert [moved["shard"] for moved in repaired["put_aside"]] == ["images-000001"] and repaired["checked"] == 1
    with pytest.raises(SpecError, match="run 'first' has no shard 'images-000009'; it has .*images-000000 to 000001"):
        put_damaged_aside(plan.root, "first", "images-000009")


def test_the_command_line_says_what_was_moved_and_what_to_run_next(plan):
    assert "first: 7 shards read, all whole, nothing was moved" in synclr("repair", "first", "--root", plan.root).stdout
    tars = [file_of(plan.stages["captions"].shard(index), "tar") for index in (0, 1)]
    for tar in tars:
        tar.unlink()
    words = ("repair", "first", "--root", plan.root, "--shard", "captions-000000")
    said = synclr(*words).stdout
    assert "1 put aside" in said and f"{tars[0].name} is missing" in said
    assert "make them again: synclr run tiny --name first" in said and "press Retry" in said
    assert (
        json.loads(synclr("repair", "first", "--root", plan.root, "--json").stdout)["put_aside"][0]["stage"]
        == "captions"
    )


def test_the_next_command_asks_for_the_same_run(plan):
    words = shlex.split(run_again(plan))
    assert words[:7] == ["synclr", "run", "tiny", "--name", "first", "--root", plan.root]
    assert "captions.total=24" in words and words[-2:] == ["--until", "images"] and "--grow" not in words
    grown = plan.spec.model_copy(update={"captions": plan.spec.captions.model_copy(update={"total": 48})})
    assert "--grow 0" in run_again(plan.model_copy(update={"spec": grown}))


def test_status_sees_a_tar_that_is_missing_or_cut_short(plan):
    captions, images = plan.stages["captions"], plan.stages["images"]
    gone, cut = file_of(captions.shard(1), "tar"), file_of(images.shard(0), "tar")
    gone.unlink()
    cut.write_bytes(b"cut")
    found = {row.stage: row for row in status(plan.root, "first")}
    assert found["captions"].damaged == (f"{gone.name} is missing",) and not found["captions"].finished
    assert (found["captions"].made, found["captions"].planned) == (1, 2)
    assert found["images"].damaged[0].startswith(f"{cut.name} has 3 bytes, ")
    said = synclr("status", "first", "--root", plan.root).stdout
    assert f"captions is damaged: {gone.name} is missing; synclr repair first puts it aside" in said


def test_whatever_reads_a_damaged_shard_begins_with_the_command_that_repairs_it(plan):
    shard = plan.stages["captions"].shard(1)
    tar = file_of(shard, "tar")
    for spoil, what in ((lambda: tar.write_bytes(b"x" * 700), "cannot be read"), (tar.unlink, "is missing")):
        spoil()
        with pytest.raises(ShardError) as raised:
            list(read_shard(shard, caption.CONTRACT))
        assert f"{tar.name} {what}" in str(raised.value)
    with pytest.raises(ShardError, match="is missing"):
        open_shard(shard)
    with pytest.raises(ShardError) as raised:
        list(read_shard(shard, caption.CONTRACT, check_digest=True))
    arrived = pickle.loads(pickle.dumps(raised.value)).of_run("first", plan.root)  # from an engine's process
    assert str(arrived).startswith(f"synclr repair first: {tar.name} is missing, in {plan.root}")
    assert f"synclr repair first --shard captions-000001 --root {plan.root}" in str(arrived)


def test_a_parquet_that_is_no_parquet_is_a_damaged_shard(plan):
    shard = plan.stages["images"].shard(0)
    table = file_of(shard, "parquet")
    table.write_bytes(b"no parquet at all")
    [moved] = put_damaged_aside(plan.root, "first", shard.stem)["put_aside"]
    assert table.name in moved["faults"][0]
    assert list(read_shard(plan.stages["images"].shard(1), image_group.CONTRACT))
