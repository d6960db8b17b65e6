"""What is shown of a stage beside its lineage: counts that add up, captions of each strategy, images, scores."""

import base64
import io

import pytest
from PIL import Image

from data_specs.stage import SealedStage
from flows.artifacts import tables
from flows.artifacts.image_sheet import MOST_BYTES, image_sheet
from flows.runs.plan import RunPlan, sealed_stages
from support.made_up_run import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunPlan:
    return make_run(str(tmp_path_factory.mktemp("root")))


@pytest.fixture(scope="module")
def stages(run) -> dict[str, SealedStage]:
    return sealed_stages(run)


def test_counts_add_up(run, stages):
    sealed = stages["captions"].model_copy(update={"made": 1, "seconds": 2.345})
    counts = {row["what"]: row["count"] for row in tables.counts(sealed, run.spec)}
    rejected = sum(count for what, count in counts.items() if what.startswith("rejected: "))
    assert counts["asked"] == counts["accepted"] + rejected
    assert rejected == 20 and counts["rejected: concept missing"] == 12
    assert counts["shards"] == counts["shards made now"] + counts["shards reused"] == 4
    assert counts["seconds in this stage"] == 2.3 and counts["captions a second"] == 5.12  # 12 of 48 in 2.345 s


def test_images_a_second_stand_beside_how_long_the_engines_worked(run, stages):
    sealed = stages["images"].model_copy(update={"seconds": 9.6, "engine_busy": 0.9731})
    assert tables.counts(sealed, run.spec)[-1] == {
        "what": "images a second",
        "count": 20.0,
        "share": "engines 97.3 % busy",
    }


def test_captions_of_every_strategy_are_shown_with_what_was_asked_for(stages):
    rows = tables.captions(stages["captions"])
    assert {row["strategy"] for row in rows} == {"concept", "background", "relation"}
    assert all(row["concept"] in row["caption"] for row in rows) and len(rows) <= 3 * tables.PER_STRATEGY
    assert {row["asked for"] for row in rows} == {"", "a sunny meadow", "next to suitcase"}
    assert rows == tables.captions(stages["captions"])
    page = tables.captions_page(stages["captions"])
    assert all(f"## {row['strategy']}" in page and f": {row['caption']}\n" in page for row in rows)


def test_a_caption_is_never_markup(stages, monkeypatch):
    row = {"concept": "a<b", "strategy": "concept", "asked for": "", "caption": "<img src=x onerror=y>"}
    monkeypatch.setattr(tables, "captions", lambda _: [row])
    page = tables.captions_page(stages["captions"])
    assert "<" not in page and "a&lt;b" in page


def test_the_sheet_is_an_image_small_enough_for_the_servers_database(stages):
    address = image_sheet(stages["images"])
    assert address and address.startswith("data:image/webp;base64,") and len(address) < 150_000
    data = base64.b64decode(address.partition(",")[2])
    assert len(data) <= MOST_BYTES and Image.open(io.BytesIO(data)).width > 300


def test_scores_stand_beside_what_they_must_beat(stages):
    rows = tables.scores(stages["scores"])
    hardest = [row for row in rows if (row["benchmark"], row["protocol"]) == ("styles", "ridge")]
    assert [row["encoder"] for row in hardest] == ["this encoder", "random init", "HOG + colour"]
    assert hardest[0]["top1 %"] == pytest.approx(34.1) and hardest[0]["± over seeds"] == ""
    assert hardest[1]["seeds"] == 2 and hardest[1]["± over seeds"] > 0 and hardest[0]["chance %"] == 0.52
