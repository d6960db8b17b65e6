"""`quality` gives the same figures for people, as JSON and as a contact sheet, of runs with and without a scorer."""

import io
import json

import pytest
from PIL import Image
from typer.testing import CliRunner

from data_specs.errors import SpecError
from flows.cli.app import app
from flows.inspect import quality as module
from flows.inspect.quality import EXTREMES, as_json, quality, write_sheet
from flows.runs.plan import RunPlan
from support.made_up_run import ByConcept, make_run


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> RunPlan:
    scorer = {"engine": "fake", "model": "fake"}
    return make_run(
        str(tmp_path_factory.mktemp("scored")), until="images", scorer=ByConcept(), images={"scorer": scorer}
    )


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> RunPlan:
    return make_run(str(tmp_path_factory.mktemp("plain")), until="images")


def test_shards_say_what_they_hold_and_concepts_how_they_score(scored, tmp_path):
    found = as_json(quality(scored.root, scored.name))
    assert json.loads(json.dumps(found)) == found
    assert (found["shards_sealed"], found["shards_read"], found["scorer"]) == (4, 4, "by-concept")
    assert [(row["shard"], row["images"], row["redrawn"]) for row in found["shards"]][3] == ("images-000003", 48, 0)
    assert sum(row["fit"]["n"] for row in found["shards"]) == found["fit"]["n"] == 192
    assert [row["concept"] for row in found["concepts"]][-1] == "dog" and len(found["concepts"]) == 12
    assert found["concepts"][-1]["mean"] == pytest.approx(0.305, abs=1e-3) and found["concepts"][-1]["n"] == 16
    assert [one["concept"] for one in found["best"]][:5] == ["dog"] * 4 + ["red apple"]
    assert [one["concept"] for one in found["worst"]][:5] == ["woven wool"] * 4 + ["marble"]
    assert len({one["key"] for one in found["best"] + found["worst"]}) == 2 * EXTREMES


def test_without_a_scorer_the_most_alike_are_named(plain, tmp_path):
    found = as_json(quality(plain.root, plain.name, 2))
    assert found["scorer"] is found["fit"] is None and found["best"] == found["worst"] == found["concepts"] == []
    assert [row["siblings"] is not None for row in found["shards"]] == [True, False, True, False]
    distances = [one["distance"] for one in found["alike"]]
    assert distances == sorted(distances) and distances[-1] <= found["unlike"][-1]["distance"]
    assert len({one["key"] for one in found["alike"] + found["unlike"]}) == 24, "of 24 captions looked at"


@pytest.mark.parametrize("which", ["plain", "scored"])
def test_the_contact_sheet_shows_the_ends(which, request, tmp_path):
    run = request.getfixturevalue(which)
    write_sheet(quality(run.root, run.name), tmp_path / "sheet.png")
    with Image.open(io.BytesIO((tmp_path / "sheet.png").read_bytes())) as sheet:
        assert sheet.format == "PNG" and min(sheet.size) > 4 * 128


def test_people_and_programs_read_the_same(scored, plain):
    printed = CliRunner().invoke(app, ["quality", scored.name, "--root", scored.root, "--json"]).stdout
    assert json.loads(printed) == as_json(quality(scored.root, scored.name))
    for run, words in ((scored, ("best    0.30", "worst   0.08")), (plain, ("alike ", "0 of 72"))):
        shown = CliRunner().invoke(app, ["quality", run.name, "--root", run.root], env={"COLUMNS": "200"})
        assert shown.exit_code == 0 and all(word in shown.stdout for word in words), shown.stdout


def test_a_large_stage_is_read_in_part_and_says_so(scored, monkeypatch):
    monkeypatch.setattr(module, "MOST_IMAGES", 100)
    found = quality(scored.root, scored.name)
    assert [row.shard for row in found.shards] == ["images-000000", "images-000002"] and found.sealed_shards == 4


def test_an_unfinished_run_is_measured_and_one_without_images_is_a_wrong_request(tmp_path):
    run = make_run(str(tmp_path), until="images")
    for shard in run.stages["images"].shards():
        if shard.index:
            (tmp_path / "images" / shard.lineage / f"{shard.stem}.json").unlink()
    assert quality(run.root, run.name).sealed_shards == 1
    make_run(str(tmp_path / "none"), until="captions")
    with pytest.raises(SpecError, match="no sealed images"):
        quality(str(tmp_path / "none"), run.name)
    with pytest.raises(SpecError, match="look at a shard"):
        write_sheet(quality(run.root, run.name, 0), tmp_path / "sheet.png")
