"""`trace` goes from a caption or image back to its concept and on to the checkpoints that saw it."""

import json

import pytest

from data_specs import image_group
from data_specs.errors import SpecError
from flows.inspect.trace import lines, trace, trace_in
from flows.runs.lineages import stages_under
from flows.runs.plan import SEALED
from support.made_up_run import looked_at, make_run
from support.shard_files import file_of
from tasks import storage
from tasks.shards import read_shard


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> str:
    folder = str(tmp_path_factory.mktemp("root"))
    make_run(folder, name="first")
    return folder


def test_scores_and_what_was_not_kept_are_listed(tmp_path):
    make_run(str(tmp_path), until="images", **looked_at(tmp_path / "checker", candidates=6))
    group = groups(str(tmp_path))[0]
    found = lines(trace(str(tmp_path), group.caption.id))
    assert sum(line.startswith("not kept    candidate ") and line.endswith(": reranked") for line in found) == 2
    assert "scorer      by-concept at 0" in found and "checker     by-red at 0" in found
    for image in group.images:
        scores = ", ".join(f"{name} {value:.3f}" for name, value in image.scores.items())
        unsafe = ", unsafe" if image.unsafe else ""
        assert (
            f"image {image.copy}     candidate {image.candidate}, try 1, seed {image.seed}, {scores}{unsafe}" in found
        )


def groups(root: str, index: int = 0, name: str | None = None) -> list[image_group.ImageGroup]:
    return list(read_shard(stages_under(root, "images", name)[0].shard(index), image_group.CONTRACT))


def test_an_image_is_followed_back_to_its_concept_and_on_to_its_checkpoint(root):
    group = next(group for group in groups(root, 1) if group.caption.strategy == "relation")
    traced = trace(root, f"{group.caption.id}/3")
    assert json.loads(json.dumps(traced)) == traced
    assert traced["concept"]["name"] == group.caption.concept and traced["concept"]["sources"] == ["list"]
    assert traced["concept"]["weight"] == pytest.approx(1 / 12)
    assert (traced["plan"]["relation"], traced["plan"]["other"]) == ("next to", "suitcase")
    assert traced["plan"]["examples"] == list(group.caption.examples)
    assert traced["captioner"] == {
        "model": {"id": "fake", "revision": "0"},
        "sampling": {"temperature": 0.8, "top_p": 0.9, "max_tokens": 48},
        "seed": group.caption.seed,
    }
    assert traced["prompt"]["turns"][0]["text"].endswith("=>"), "word by word"
    assert "whose digest is not" in traced["prompt"]["note"], "the made-up record has a digest of nothing"
    [image] = traced["images"]["images"]
    assert image["seed"] == group.images[3].seed and image["sha256"] == group.images[3].sha256
    assert traced["images"]["shard"]["shard"] == "images-000001" and traced["images"]["shard"]["made"]["run"] == "first"
    [checkpoint] = traced["checkpoints"]
    assert any(line.startswith("styles (ridge): this encoder ") for line in checkpoint["scores"][0]["lines"])
    assert checkpoint["step"] == 60 and checkpoint["shard"]["lineage"] == stages_under(root, "encoder")[0].lineage
    assert traced["also_in"] == []


def test_a_caption_is_followed_to_all_its_images(root):
    group = groups(root)[0]
    traced = trace(root, group.caption.id)
    assert traced["is"] == "caption" and [image["copy"] for image in traced["images"]["images"]] == [0, 1, 2, 3]


def test_people_read_the_same_from_concept_to_checkpoint(root):
    group = groups(root)[1]
    found = lines(trace(root, f"{group.caption.id}/0"))
    heads = [line.split()[0] for line in found if not line.startswith(" ")]
    assert heads == ["concept", "plan", "captioner", "caption", "renderer", "image", "checkpoint"]
    text = "\n".join(found)
    for word in (group.caption.text, group.images[0].sha256, "weight 0.08333", "CFG 1", "made by run first", "step 60"):
        assert word in text


def test_a_caption_without_images_says_so(tmp_path):
    make_run(str(tmp_path), until="captions")
    [stage] = stages_under(str(tmp_path), "captions")
    from data_specs import caption

    key = next(read_shard(stage.shard(0), caption.CONTRACT)).id
    traced = trace(str(tmp_path), key)
    assert traced["images"] is None and traced["checkpoints"] == []
    assert {"images      none rendered yet", "checkpoint  none has seen it"} <= set(lines(traced))
    with pytest.raises(SpecError, match="a key is"):
        trace(str(tmp_path), f"{key}/0")


def test_only_checkpoints_of_the_same_images_count_and_the_others_are_named(tmp_path):
    root = str(tmp_path)
    make_run(root, name="mild")
    make_run(root, name="strong", until="images", images={"guidance_scale": 5.0})
    key = groups(root, name="mild")[0].caption.id
    mild, strong = trace(root, key, name="mild"), trace(root, key)
    assert len(mild["checkpoints"]) == 1 and strong["checkpoints"] == []
    assert strong["also_in"] == [f"images {stages_under(root, 'images', 'mild')[0].lineage}"]
    assert mild["caption"] == strong["caption"] and mild["images"]["shard"] != strong["images"]["shard"]


@pytest.mark.parametrize("key", ["dog", "0" * 10, f"{'0' * 16}-100", "images-000000"])
def test_what_is_no_caption_or_image_is_refused_with_a_way_on(root, key):
    with pytest.raises(SpecError, match="synclr show"):
        trace(root, key)


def test_an_unknown_caption_is_a_wrong_request(root):
    with pytest.raises(SpecError, match="has the key"):
        trace(root, f"{'0' * 10}-{'0' * 16}")


def test_a_run_that_is_under_way_has_the_same_trace_read_from_one_shard(tmp_path):
    plan = make_run(str(tmp_path))
    whole = trace(str(tmp_path), groups(str(tmp_path), 2)[0].caption.id)
    assert trace_in(plan, whole["key"], 2) == whole
    storage.remove(f"{plan.folder}/{SEALED}")
    assert trace_in(plan, f"{whole['key']}/1", 2)["images"]["images"] == whole["images"]["images"][1:2]
    with pytest.raises(SpecError, match="has the key"):
        trace_in(plan, whole["key"], 1)


def test_who_made_a_shard_may_be_lost_and_the_trace_goes_on(tmp_path):
    plan = make_run(str(tmp_path))
    key = groups(str(tmp_path), 2)[0].caption.id
    for damaged in (b"{", b"\xff", b"[]", b'{"run": 1}'):
        storage.write_bytes(plan.stages["images"].shard(2).file("made.json"), damaged)
        traced = trace(str(tmp_path), key)
        assert traced["images"]["shard"]["made"] is None and traced["caption"]["shard"]["made"]["run"] == "made-up"
        assert lines(traced)


def test_damaged_scores_hide_nothing_of_what_became_of_an_image(tmp_path):
    plan = make_run(str(tmp_path))
    scores = file_of(plan.stages["scores"].shard(0), "parquet")
    scores.write_bytes(scores.read_bytes()[:40])
    [checkpoint] = trace(str(tmp_path), f"{groups(str(tmp_path))[0].caption.id}/1")["checkpoints"]
    assert checkpoint["scores"] == [{"run": plan.name, "lines": []}]
