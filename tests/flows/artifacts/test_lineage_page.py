"""The lineage of a room as people read it: made, taken over, read, stale, and who saw what."""

import re

import pytest

from data_specs.run import Run
from data_specs.shard import SealedRoom
from flows.artifacts.keys import key
from flows.artifacts.lineage_page import lineage_page, ranges, with_seen_by
from flows.artifacts.makers import makers
from flows.execution.stage_run import Visit
from flows.runs.folder import summarise
from flows.runs.resolve import rooms
from support.made_up_run import make_run
from tasks import storage
from tasks.shards import missing


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """`first` made 24 captions with their images; `second` takes them over and makes 24 more, and the rest of the walk."""
    root = str(tmp_path_factory.mktemp("root"))
    make_run(root, name="first", until="images", captions={"total": 24})
    return make_run(root, name="second")


def visited(run: Run, name: str, before: str | None = None) -> tuple[Visit, SealedRoom]:
    all_rooms = rooms(run.spec, run.root)
    visit = Visit(run, all_rooms[name], reads=all_rooms[before] if before else None)
    return visit, summarise(all_rooms[name], made=len(visit.missing))


def test_what_an_earlier_run_made_is_counted_beside_what_this_one_made(run):
    images = rooms(run.spec, run.root)["images"]
    assert {maker.run: maker.shards for maker in makers(images.shards)} == {"first": 2, "second": 2}
    page = lineage_page(*visited(run, "images", "captions"))
    assert re.search(r"\| first \| 2 \|", page) and re.search(r"\| second \| 2 \|", page)
    assert page.count("| first | 2 |") == 2, "once for the images, once for the captions that they were drawn from"
    assert images.facts["upstream"] in page and images.lineage in page
    assert "model `fake` at" in page and '"guidance_scale": 2.5' in page and "diffusers 0" in page
    assert f"/artifacts/key/{key('second', 'captions', 'lineage')}" in page


def test_a_shard_made_in_a_flow_run_names_it_and_links_to_it(run, tmp_path):
    visit = Visit(run, rooms(run.spec, run.root)["concepts"])
    visit.flow_run = "0199a0de-0000-7000-8000-000000000000"
    assert visit.by == "second@0199a0de-0000-7000-8000-000000000000"
    table = visit.room.table.model_copy(update={"folder": str(tmp_path)})
    from tasks.concepts.ingest import ingest_table

    ingest_table(table, run.spec.concepts, run=visit.by)
    [maker] = makers([table])
    assert (maker.run, maker.flow_run) == ("second", visit.flow_run)


def test_a_lost_record_is_counted_as_not_recorded(run):
    images = rooms(run.spec, run.root)["images"]
    url = images.shards[0].file("made.json")
    kept = storage.read_bytes(url)
    storage.remove(url)
    try:
        assert {maker.run: maker.shards for maker in makers(images.shards)} == {"first": 1, "second": 2, "": 1}
        assert "| (not recorded) | 1 |" in lineage_page(*visited(run, "images", "captions"))
    finally:
        storage.write_bytes(url, kept or b"")


def test_a_stale_room_says_which_field_made_it_so(tmp_path):
    make_run(str(tmp_path), name="one", until="captions")
    warmer = make_run(str(tmp_path / "other"), name="one", until="captions", captions={"temperature": 0.9})
    changed = warmer.model_copy(update={"root": str(tmp_path)})
    room = rooms(changed.spec, changed.root)["captions"]
    visit = Visit(changed, room)
    assert visit.stale == ["spec.temperature 0.8 -> 0.9"] and len(visit.missing) == 4
    sealed = SealedRoom(room="captions", lineage=room.lineage, folder="", shards=4, accepted=4, rejected={}, made=4)
    assert "* `spec.temperature 0.8 -> 0.9`" in lineage_page(visit, sealed)


def test_checkpoint_and_image_shards_name_each_other(run):
    images = rooms(run.spec, run.root)["images"]
    encoder = lineage_page(*visited(run, "encoder", "images"))
    assert "images-000000 to images-000003" in encoder and images.lineage in encoder
    assert key("second", "images", "lineage") in encoder
    seen = lineage_page(*visited(run, "images", "captions"))
    assert "saw 4 of 4 shards (images-000000 to images-000003)" in seen and key("second", "encoder", "lineage") in seen


def test_a_page_written_before_the_encoder_learns_who_saw_its_shards(tmp_path):
    early = make_run(str(tmp_path), until="images")
    page = lineage_page(*visited(early, "images", "captions"))
    assert "None so far." in page
    make_run(str(tmp_path))
    later = with_seen_by(page, early.root, rooms(early.spec, early.root)["images"])
    assert "saw 4 of 4 shards" in later and "None so far." not in later
    assert later.partition("## The recipe")[2] == page.partition("## The recipe")[2] != ""


def test_neighbouring_shards_are_told_as_a_range():
    stems = [f"images-{number:06d}" for number in (0, 1, 2, 5, 7, 8)]
    assert ranges(stems) == "images-000000 to images-000002, images-000005, images-000007 to images-000008"


@pytest.mark.parametrize("name", ["tiny", "Big_Run", "big-run", "A" * 64])
def test_keys_are_what_prefect_takes_and_differ_for_different_runs(name):
    assert re.fullmatch(r"[a-z0-9-]+", key(name, "images", "sheet"))
    assert len({key(each, "images", "sheet") for each in ("Big_Run", "big-run", "big_run")}) == 3


def test_a_visit_knows_what_is_missing_by_one_look(run):
    visit, _ = visited(run, "images")
    assert visit.missing == missing(visit.room.shards) == [] and visit.by == "second"
