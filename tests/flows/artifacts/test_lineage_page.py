"""The lineage of a stage as people read it: made, reused, read, stale, and who saw what."""

import re

import pytest

from data_specs.concept import CONTRACT
from data_specs.shard import MadeBy
from flows.artifacts.keys import key
from flows.artifacts.lineage_page import lineage_page, ranges, with_seen_by
from flows.artifacts.makers import makers
from flows.runs.plan import RunPlan, sealed_stages
from support.made_up_run import concepts, make_run
from tasks import storage
from tasks.shards import make_shard

FLOW_RUN = "0199a0de-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> RunPlan:
    """`first` made 24 captions with their images; `second` reuses them and makes 24 more, and the rest of the run."""
    root = str(tmp_path_factory.mktemp("root"))
    make_run(root, name="first", until="images", captions={"total": 24})
    return make_run(root, name="second")


def page_of(plan: RunPlan, name: str, before: str) -> str:
    return lineage_page(plan, sealed_stages(plan)[name], plan.stages[before], [], None)


def test_what_an_earlier_run_made_is_counted_beside_what_this_one_made(plan):
    images = plan.stages["images"]
    assert {maker.run: maker.shards for maker in makers(images)} == {"first": 2, "second": 2}
    page = page_of(plan, "images", "captions")
    assert re.search(r"\| first \| 2 \|", page) and re.search(r"\| second \| 2 \|", page)
    assert page.count("| first | 2 |") == 2, "once for the images, once for the captions that they were rendered from"
    assert images.facts["upstream"] in page and images.lineage in page
    assert "model `fake` at" in page and '"guidance_scale": 2.5' in page and "diffusers 0" in page
    assert f"/artifacts/key/{key('second', 'captions', 'lineage')}" in page


def test_a_shard_made_in_a_flow_run_names_it_and_links_to_it(plan, tmp_path):
    sealed = sealed_stages(plan)["concepts"].model_copy(update={"folder": str(tmp_path)})
    make_shard(sealed.table, CONTRACT, concepts, made_by=MadeBy("second", FLOW_RUN), tar=False)
    [maker] = makers(sealed)
    assert (maker.run, maker.flow_run) == ("second", FLOW_RUN)
    page = lineage_page(plan, sealed, None, [], FLOW_RUN)
    assert "| second | 1, now |" in page and f"/runs/flow-run/{FLOW_RUN}" in page


def test_a_lost_record_is_counted_as_not_recorded(plan):
    images = plan.stages["images"]
    url = images.shard(0).file("made.json")
    kept = storage.read_bytes(url)
    storage.remove(url)
    try:
        assert {maker.run: maker.shards for maker in makers(images)} == {"first": 1, "second": 2, "": 1}
        assert "| (not recorded) | 1 |" in page_of(plan, "images", "captions")
    finally:
        storage.write_bytes(url, kept or b"")


def test_a_stale_stage_says_which_field_made_it_so(plan):
    stale, captions = ["spec.temperature 0.8 -> 0.9"], sealed_stages(plan)["captions"]
    page = lineage_page(plan, captions, None, stale, None)
    assert "remade" in page and "* `spec.temperature 0.8 -> 0.9`" in page
    reused = captions.model_copy(update={"made": 0})
    assert "which was there already" in lineage_page(plan, reused, None, stale, None)


def test_checkpoint_and_image_shards_name_each_other(plan):
    images = plan.stages["images"]
    encoder = page_of(plan, "encoder", "images")
    assert "images-000000 to images-000003" in encoder and images.lineage in encoder
    assert key("second", "images", "lineage") in encoder
    seen = page_of(plan, "images", "captions")
    assert "saw 4 of 4 shards (images-000000 to images-000003)" in seen and key("second", "encoder", "lineage") in seen


def test_a_page_written_before_the_encoder_learns_who_saw_its_shards(tmp_path):
    early = make_run(str(tmp_path), until="images")
    page = page_of(early, "images", "captions")
    assert "None so far." in page
    make_run(str(tmp_path))
    later = with_seen_by(page, early.root, early.stages["images"])
    assert "saw 4 of 4 shards" in later and "None so far." not in later
    assert later.partition("## The recipe")[2] == page.partition("## The recipe")[2] != ""


def test_an_encoder_of_other_images_whose_shards_have_the_same_names_has_not_seen_these(tmp_path):
    make_run(str(tmp_path), name="other", images={"size": 24})
    plan = make_run(str(tmp_path), until="images")
    assert "None so far." in page_of(plan, "images", "captions")


def test_neighbouring_shards_are_named_as_a_range():
    stems = [f"images-{number:06d}" for number in (0, 1, 2, 5, 7, 8)]
    assert ranges(stems) == "images-000000 to images-000002, images-000005, images-000007 to images-000008"


@pytest.mark.parametrize("name", ["tiny", "Big_Run", "big-run", "A" * 64])
def test_keys_are_what_prefect_takes_and_differ_for_different_runs(name):
    assert re.fullmatch(r"[a-z0-9-]+", key(name, "images", "sheet"))
    assert len({key(each, "images", "sheet") for each in ("Big_Run", "big-run", "big_run")}) == 3
