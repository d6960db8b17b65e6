"""`show` finds a key or shard and gives its record and images; what is not there is a wrong request."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from data_specs import caption, image_group
from data_specs.errors import SpecError
from data_specs.shard import ShardAddress
from flows.inspect.contact_sheet import Row, contact_sheet
from flows.inspect.show import show
from flows.runs.lineages import stages_under
from support.made_up_run import looked_at, make_run
from tasks.shards import read_shard


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> str:
    folder = str(tmp_path_factory.mktemp("root"))
    make_run(folder, name="first")
    return folder


@pytest.fixture(scope="module")
def group(root) -> image_group.ImageGroup:
    return next(read_shard(first_shard(root), image_group.CONTRACT))


def first_shard(root: str) -> ShardAddress:
    return stages_under(root, "images")[0].shard(0)


def test_a_caption_is_shown_with_its_record_in_each_stage_and_its_images(root, group):
    shown = show(root, group.caption.id)
    assert json.loads(json.dumps(shown)) == shown
    assert [record["shard"]["stage"] for record in shown["records"]] == ["captions", "images"]
    assert shown["records"][0]["record"]["text"] == group.caption.text
    assert shown["records"][1]["shard"]["made"]["run"] == "first" and shown["records"][1]["runs"] == ["first"]
    with Image.open(shown["sheet"]) as sheet:
        assert sheet.format == "PNG" and sheet.width > 4 * 128
    assert Path(shown["sheet"]).is_relative_to(root)


def test_one_image_is_shown_with_its_seed_and_digest(root, group, tmp_path):
    shown = show(root, f"{group.caption.id}/2", tmp_path / "one.png")
    [record] = shown["records"]
    assert record["record"]["copy"] == 2 and record["record"]["sha256"] == group.images[2].sha256
    assert record["caption"]["id"] == group.caption.id and record["rendering"]["guidance_scale"] == 1.0
    assert shown["sheet"] == str(tmp_path / "one.png")


def test_scores_and_what_was_not_kept_are_shown_and_an_unsafe_image_is_shown_by_its_own_key_alone(tmp_path):
    root = str(tmp_path)
    make_run(root, until="images", **looked_at(tmp_path / "checker", candidates=6))
    groups = list(read_shard(first_shard(root), image_group.CONTRACT))
    group = next(group for group in groups if 0 < sum(image.unsafe for image in group.images) < 4)
    copy, flagged = next((image.copy, image) for image in group.images if image.unsafe)
    whole = show(root, group.caption.id)
    kept = whole["records"][1]["record"]
    assert [each["reason"] for each in kept["passed_over"]] == ["reranked"] * 2 and kept["scorer"]["id"] == "by-concept"
    [one] = show(root, f"{group.caption.id}/{copy}")["records"]
    assert one["record"]["unsafe"] and one["record"]["scores"] == flagged.scores and len(one["passed_over"]) == 2
    assert one["record"]["candidate"] == flagged.candidate and set(one["caption"]) == set(caption.SCHEMA.names)
    with Image.open(whole["sheet"]) as without, Image.open(show(root, f"{group.caption.id}/{copy}")["sheet"]) as alone:
        safe = sum(not image.unsafe for image in group.images)
        assert colourful(without) == pytest.approx(safe * 128 * 128, rel=0.05)
        assert colourful(alone) == pytest.approx(128 * 128, rel=0.05)


def colourful(sheet: Image.Image) -> int:
    """Pixels of images, which are noise; words, and the paper, are grey."""
    return sum(count for count, (r, g, b) in sheet.getcolors(1 << 24) or [] if max(r, g, b) - min(r, g, b) > 12)


def test_a_concept_is_found_by_id_and_by_name(root, group):
    by_id, by_name = show(root, group.caption.concept_id), show(root, group.caption.concept)
    assert by_id["records"] == by_name["records"] and by_id["sheet"] is None
    assert by_id["records"][0]["record"]["name"] == group.caption.concept


def test_a_checkpoint_is_found_by_its_id(root):
    [encoder] = stages_under(root, "encoder")
    [row] = show(root, "encoder-000000")["records"][0]["records"]
    found = show(root, row["id"])
    [record] = found["records"]
    assert (found["is"], record["record"]["steps"], record["runs"]) == ("checkpoint", row["steps"], ["first"])
    assert row["id"].startswith(encoder.lineage)


def test_a_shard_is_shown_whole(root):
    shown = show(root, "images-000001", name="first")
    [record] = shown["records"]
    assert len(record["records"]) == record["manifest"]["accepted"] == 12
    assert shown["is"] == "shard" and Path(shown["sheet"]).stat().st_size > 1000
    assert show(root, "scores-000000")["sheet"] is None
    assert json.dumps(show(root, "encoder-000000"))


def test_a_named_run_decides_between_lineages(tmp_path):
    root = str(tmp_path)
    make_run(root, name="mild", until="images")
    make_run(root, name="strong", until="images", images={"guidance_scale": 5.0})
    both = {name: show(root, "images-000000", name=name)["records"][0] for name in ("mild", "strong")}
    assert both["mild"]["shard"]["lineage"] != both["strong"]["shard"]["lineage"]
    assert both["mild"]["manifest"]["lineage"] == both["mild"]["shard"]["lineage"]
    newest = show(root, "images-000000")["records"][0]
    assert newest["shard"]["lineage"] == both["strong"]["shard"]["lineage"]
    assert newest["also_in"] == [both["mild"]["shard"]["lineage"]]
    key = both["mild"]["records"][0]["id"]
    assert len(show(root, key)["records"]) == 3 and len(show(root, key, name="mild")["records"]) == 2


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("dogg", "did you mean 'dog'"),
        ("0" * 10, "a key is"),
        (f"{'0' * 10}-{'0' * 16}", "a key is"),
        (f"{'0' * 10}-{'0' * 16}/1", "a key is"),
        ("images-000099", "a key is"),
        (f"{'0' * 16}-100", "a key is"),
        ("", "a key is"),
    ],
)
def test_an_unknown_key_is_a_wrong_request_with_a_hint(root, key, said):
    with pytest.raises(SpecError, match=said):
        show(root, key)


def test_an_image_beyond_the_group_and_an_unknown_run_are_distinguished(root, group):
    with pytest.raises(SpecError, match="has 4 images"):
        show(root, f"{group.caption.id}/4")
    with pytest.raises(SpecError, match="no run 'nobody'.*first"):
        show(root, group.caption.id, name="nobody")


def test_a_remote_root_is_shown_too(tmp_path):
    run = make_run(f"memory://show-{tmp_path.name}", until="images")
    key = next(read_shard(first_shard(run.root), image_group.CONTRACT)).caption.id
    assert Path(show(run.root, key, tmp_path / "sheet.png")["sheet"]).exists()


def image(size: tuple[int, int], colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return stream.getvalue()


def test_a_sheet_enlarges_small_images_by_whole_factors_and_bounds_large_ones():
    sheet = Image.open(io.BytesIO(contact_sheet([Row("a title", "a note", [image((64, 64), "red")] * 2)])))
    assert sum(count for count, colour in sheet.getcolors(1 << 20) if colour == (255, 0, 0)) == 2 * 128 * 128
    large = Image.open(io.BytesIO(contact_sheet([Row("", "", [image((1024, 512), "blue")])])))
    assert large.width < 400
    with pytest.raises(ValueError, match="at least one image"):
        contact_sheet([])
