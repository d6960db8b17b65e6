"""What is left out across shards: images of it are refused with the reason, and every view of the run says so."""

import re
from pathlib import Path

import pytest

from data_specs.shard import MadeBy, ShardAddress
from flows.execution.select_captions import select_captions
from flows.inspect.show import show
from flows.inspect.trace import lines, trace
from flows.inspect.verify import verify
from flows.repair.image_lists import rebuild, write_list
from flows.repair.remake import remake_damaged
from flows.report.funnel import funnel
from flows.runs import resolve
from flows.runs.lineages import stages_under
from flows.runs.plan import sealed_stages
from flows.runs.planning import resolve_plan
from flows.runs.request import Request
from support.made_up_run import make_run
from support.shard_files import file_of
from tasks.events import ignore
from tasks.shards import read_rejects, sealed


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(str(tmp_path_factory.mktemp("root")), until="images", captions={"near_duplicates": 0.5})


def shards(run, stage) -> list[ShardAddress]:
    return list(run.stages[stage].shards())


def left_out(run):
    return [each for address in shards(run, "images") for each in read_rejects(address)]


def test_captions_are_images_or_refusals_that_name_what_they_repeat(run):
    images, captions = ([sealed(address) for address in shards(run, stage)] for stage in ("images", "captions"))
    for drawn, written in zip(images, captions, strict=True):
        assert drawn.accepted + sum(drawn.rejected.values()) == written.accepted
    found = left_out(run)
    assert found and {each.reason for each in found} == {"near_duplicate_elsewhere"}
    assert all(
        re.search(r" \(repeats [0-9a-f]{10}-[0-9a-f]{16} of captions-00000[0-2]\)$", each.text) for each in found
    )
    assert not images[0].rejected, "the lowest index wins"


def test_every_view_of_the_run_stays_right(run, tmp_path):
    found = left_out(run)
    stage = {stage.stage: stage for stage in funnel(sealed_stages(run), run.spec)}["images"]
    assert stage.planned == stage.asked == stage.accepted + len(found) == 48
    assert [entry.reason for entry in stage.refused] == ["near_duplicate_elsewhere"]
    checked, faults = verify(run.root, run.name)
    assert (checked, faults) == (1 + 3 * len(shards(run, "images")), [])
    shown = show(run.root, "selection-000002", name=run.name)
    assert shown["records"][0]["manifest"]["accepted"] == 12
    told = trace(run.root, found[0].key)
    assert told["images"] is None and told["left_out"]["verdict"] == "near_duplicate_elsewhere"
    assert any(line.startswith("images      none: near duplicate elsewhere: repeats ") for line in lines(told))
    kept = next(record["id"] for record in show(run.root, "images-000000")["records"][0]["records"])
    assert trace(run.root, kept)["left_out"] is None
    listed = tmp_path / "list.gz"
    write_list(run.root, run.name, listed)
    assert rebuild(str(tmp_path / "elsewhere"), listed)["different"] == []


def test_a_shard_that_is_lost_is_made_again_even_if_its_selection_is_lost_too(run):
    before = [sealed(address) for address in shards(run, "images")]
    for stage in ("selection", "images"):
        Path(shards(run, stage)[2].file("json")).unlink()
    mended = remake_damaged(run.root, run.name)
    assert [shard["shard"] for shard in mended["repaired"]] == ["images-000002"]
    assert [sealed(address) for address in shards(run, "images")] == before


def test_a_damaged_selection_is_put_aside_and_comes_back_to_the_byte(run):
    before = [sealed(address) for stage in ("selection", "images") for address in shards(run, stage)]
    file_of(shards(run, "selection")[1], "parquet").write_bytes(b"torn")
    Path(shards(run, "images")[1].file("json")).unlink()
    remake_damaged(run.root, run.name)
    assert [sealed(address) for stage in ("selection", "images") for address in shards(run, stage)] == before
    assert verify(run.root, run.name)[1] == []
    [aside] = Path(shards(run, "selection")[1].folder, "damaged").glob("selection-000001-*")
    assert "not as sealed" in (aside / "reason.json").read_text()


def planned(**captions):
    """The stages of a recipe with fake engines; nothing is written."""
    settings = {"captions": {"engine": "fake"} | captions, "images": {"engine": "fake"}}
    return resolve_plan(Request("tiny", root="root", settings=settings)).stages


def test_another_version_of_the_selection_is_another_lineage_of_images(monkeypatch):
    before = planned()
    monkeypatch.setitem(resolve.VERSIONS, "selection", 99)
    after = planned()
    assert before["captions"].lineage == after["captions"].lineage
    assert before["selection"].lineage != after["selection"].lineage
    assert before["images"].lineage != after["images"].lineage


def test_captions_keep_their_lineage_and_images_do_not():
    usual, off, exact, thin = (
        planned(**each) for each in ({}, {"across_shards": None}, {"across_shards": "exact"}, {"balance": 9})
    )
    assert usual["captions"].lineage == off["captions"].lineage == exact["captions"].lineage
    assert len({each["images"].lineage for each in (usual, off, exact, thin)}) == 4
    assert "selection" in usual and "selection" not in off


def test_images_of_another_selection_are_not_this_recipes(run):
    settings = run.spec.model_dump(mode="json")
    other = resolve_plan(
        Request("tiny", run.name, run.root, settings=settings | {"captions": settings["captions"] | {"balance": 1}})
    )
    assert list(sealed_stages(other)) == ["concepts", "captions"]
    select_captions(other, MadeBy("other"), ignore)
    found = stages_under(run.root, "selection")
    assert len(found) == 2
    assert [stage.count for stage in found if stage.facts["spec"]["balance"]] == [4]
