"""`quality`: the same figures for people, as JSON and as a contact sheet, of runs with and without a scorer."""

import io
import json

import pytest
from PIL import Image
from typer.testing import CliRunner

from data_specs.errors import SpecError
from data_specs.run import Run
from flows.cli.app import app
from flows.inspect import quality as module
from flows.inspect.quality import EXTREMES, as_json, quality, write_sheet
from flows.runs.resolve import rooms
from support.made_up_run import ByConcept, make_run


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> Run:
    scorer = {"engine": "fake", "model": "fake"}
    return make_run(
        str(tmp_path_factory.mktemp("scored")), until="images", scorer=ByConcept(), images={"scorer": scorer}
    )


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Run:
    return make_run(str(tmp_path_factory.mktemp("plain")), until="images")


def test_shards_say_what_they_hold_and_concepts_how_they_score(scored, tmp_path):
    told = as_json(quality(scored.root, scored.name))
    assert json.loads(json.dumps(told)) == told
    assert (told["shards_sealed"], told["shards_read"], told["scorer"]) == (4, 4, "by-concept")
    assert [(row["shard"], row["pictures"], row["redrawn"]) for row in told["shards"]][3] == ("images-000003", 48, 0)
    assert sum(row["fit"]["n"] for row in told["shards"]) == told["fit"]["n"] == 192
    assert [row["concept"] for row in told["concepts"]][-1] == "dog" and len(told["concepts"]) == 12
    assert told["concepts"][-1]["mean"] == pytest.approx(0.305, abs=1e-3) and told["concepts"][-1]["n"] == 16
    assert [one["concept"] for one in told["best"]][:5] == ["dog"] * 4 + ["red apple"]
    assert [one["concept"] for one in told["worst"]][:5] == ["woven wool"] * 4 + ["marble"]
    assert len({one["key"] for one in told["best"] + told["worst"]}) == 2 * EXTREMES


def test_without_a_scorer_the_most_alike_are_named(plain, tmp_path):
    told = as_json(quality(plain.root, plain.name, 2))
    assert told["scorer"] is told["fit"] is None and told["best"] == told["worst"] == told["concepts"] == []
    assert [row["siblings"] is not None for row in told["shards"]] == [True, False, True, False]
    distances = [one["distance"] for one in told["alike"]]
    assert distances == sorted(distances) and distances[-1] <= told["unlike"][-1]["distance"]
    assert len({one["key"] for one in told["alike"] + told["unlike"]}) == 24, "of 24 captions looked at"


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


def test_a_large_room_is_read_in_part_and_says_so(scored, monkeypatch):
    monkeypatch.setattr(module, "MOST_PICTURES", 100)
    found = quality(scored.root, scored.name)
    assert [row.shard for row in found.shards] == ["images-000000", "images-000002"] and found.room == 4


def test_a_walk_under_way_is_looked_at_and_one_without_pictures_is_a_wrong_request(tmp_path):
    run = make_run(str(tmp_path), until="images")
    for shard in rooms(run.spec, run.root)["images"].shards:
        if shard.index:
            (tmp_path / "images" / shard.lineage / f"{shard.stem}.json").unlink()
    assert quality(run.root, run.name).room == 1
    make_run(str(tmp_path / "none"), until="captions")
    with pytest.raises(SpecError, match="no sealed pictures"):
        quality(str(tmp_path / "none"), run.name)
    with pytest.raises(SpecError, match="look at a shard"):
        write_sheet(quality(run.root, run.name, 0), tmp_path / "sheet.png")
