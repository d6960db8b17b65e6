"""What is shown of a room beside its lineage: counts that add up, captions of each strategy, pictures, scores."""

import base64
import io
from dataclasses import replace

import pytest
from PIL import Image

from data_specs.run import Run
from flows.artifacts import tables
from flows.artifacts.image_sheet import MOST_BYTES, picture_sheet
from flows.artifacts.run_page import run_page
from flows.report.sealed_stages import Walked, walked_rooms
from support.made_up_run import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return make_run(str(tmp_path_factory.mktemp("root")))


@pytest.fixture(scope="module")
def rooms(run) -> dict[str, Walked]:
    return walked_rooms(run)


def test_counts_add_up(run, rooms):
    sealed = rooms["captions"].sealed.model_copy(update={"made": 1})
    walked = replace(rooms["captions"], sealed=sealed, seconds=2.345)
    told = {row["what"]: row["count"] for row in tables.counts(walked, run.spec)}
    refused = sum(count for what, count in told.items() if what.startswith("rejected: "))
    assert told["asked"] == told["accepted"] + refused and refused == 20 and told["rejected: concept missing"] == 12
    assert told["shards"] == told["shards made now"] + told["shards taken over"] == 4
    assert told["seconds in this room"] == 2.3 and told["captions a second"] == 5.12  # 12 of 48 in 2.345 s


def test_pictures_a_second_stand_beside_how_long_the_engines_worked(run, rooms):
    walked = replace(rooms["images"], seconds=9.6, engine_busy=0.9731)
    assert tables.counts(walked, run.spec)[-1] == {
        "what": "pictures a second",
        "count": 20.0,
        "share": "engines 97.3 % busy",
    }


def test_captions_of_every_strategy_are_shown_with_what_was_asked_for(rooms):
    rows = tables.captions(rooms["captions"])
    assert {row["strategy"] for row in rows} == {"concept", "background", "relation"}
    assert all(row["concept"] in row["caption"] for row in rows) and len(rows) <= 3 * tables.PER_STRATEGY
    assert {row["asked for"] for row in rows} == {"", "a sunny meadow", "next to suitcase"}
    assert rows == tables.captions(rooms["captions"])
    page = tables.captions_page(rooms["captions"])
    assert all(f"## {row['strategy']}" in page and f": {row['caption']}\n" in page for row in rows)


def test_a_caption_is_never_markup(rooms, monkeypatch):
    row = {"concept": "a<b", "strategy": "concept", "asked for": "", "caption": "<img src=x onerror=y>"}
    monkeypatch.setattr(tables, "captions", lambda _: [row])
    page = tables.captions_page(rooms["captions"])
    assert "<" not in page and "a&lt;b" in page


def test_the_sheet_is_a_picture_small_enough_for_the_servers_database(rooms):
    address = picture_sheet(rooms["images"])
    assert address and address.startswith("data:image/webp;base64,") and len(address) < 150_000
    data = base64.b64decode(address.partition(",")[2])
    assert len(data) <= MOST_BYTES and Image.open(io.BytesIO(data)).width > 300


def test_scores_stand_beside_what_they_must_beat(rooms):
    rows = tables.scores(rooms["scores"])
    hardest = [row for row in rows if (row["benchmark"], row["protocol"]) == ("styles", "ridge")]
    assert [row["encoder"] for row in hardest] == ["this encoder", "random init", "HOG + colour"]
    assert hardest[0]["top1 %"] == pytest.approx(34.1) and hardest[0]["± over seeds"] == ""
    assert hardest[1]["seeds"] == 2 and hardest[1]["± over seeds"] > 0 and hardest[0]["chance %"] == 0.52


def test_the_page_of_the_run_links_every_room_and_names_those_not_reached(run, tmp_path):
    page = run_page(run, "report.html")
    for key in ("concepts-counts", "captions-samples", "images-sheet", "encoder-lineage", "scores-table"):
        assert f"/artifacts/key/made-up-{key}" in page
    assert "this encoder 34.1 %" in page and "`report.html`" in page and "Not reached" not in page
    assert "Not reached yet: encoder, embeddings, scores." in run_page(make_run(str(tmp_path), until="images"), "")
