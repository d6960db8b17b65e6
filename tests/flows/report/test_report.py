"""The report: one file that says what the run says, for whole runs and for runs that stopped early."""

import base64
import io
import json
import re
import shutil
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from data_specs.image_group import CONTRACT
from flows.artifacts.image_sheet import image_sheet
from flows.cli.app import app
from flows.execution.stage_run import sum_up
from flows.inspect.long_captions import long_captions
from flows.report import score_tables, write_report
from flows.report.curves import curves
from flows.report.galleries import CARDS
from flows.report.image_quality import GROUPS
from flows.runs.plan import read_plan, record_sealed, sealed_stages, write_plan
from flows.runs.planning import resolve_plan
from flows.runs.request import Request
from flows.runs.status import status
from models.renderer.fake import FakeRenderer
from support.made_up_run import ByConcept, looked_at, make_run
from tasks.shards import read_shard


class Page(HTMLParser):
    """Tags with attributes, and the words a reader sees."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += f"{data} "


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> str:
    run = make_run(str(tmp_path_factory.mktemp("root")))
    return Path(write_report(run)).read_text(encoding="utf-8")


def test_the_report_is_one_file_that_asks_nothing_of_the_network(whole):
    page = Page(whole)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    links = [attributes[name] for _, attributes in page.tags for name in ("src", "href") if name in attributes]
    assert links and all(link.startswith(("data:image/", "#")) for link in links)
    anchors = {link[1:] for link in links if link.startswith("#")}
    assert anchors <= {attributes.get("id") for _, attributes in page.tags}
    assert "url(" not in whole and "@import" not in whole


def test_each_strategy_and_kind_has_captions_with_their_four_images(whole):
    page = Page(whole)
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    cards = sum(tag == "article" for tag, _ in page.tags)
    assert len(images) == 4 * cards and cards <= 5 * CARDS + 2 * GROUPS
    for title in ("Concept alone", "Concept and background", "Concept and relation", "Places", "Textures"):
        assert title in page.words
    assert "8 of 48 captions, 16.7 %" in " ".join(page.words.split())
    for attributes in images:
        assert attributes["alt"]
        Image.open(io.BytesIO(base64.b64decode(attributes["src"].split(",")[1]))).verify()


def test_large_images_are_embedded_small(tmp_path):
    run = make_run(str(tmp_path), until="images", renderer=FakeRenderer(160), captions={"total": 3, "per_shard": 3})
    text = Path(write_report(run)).read_text(encoding="utf-8")
    first = next(attributes for tag, attributes in Page(text).tags if tag == "img")
    assert max(Image.open(io.BytesIO(base64.b64decode(first["src"].split(",")[1]))).size) == 128
    assert len(text) < 3_000_000


def test_the_headline_is_the_mean_over_folds_beside_random_init_hog_and_chance(whole):
    words = " ".join(Page(whole).words.split())
    assert "34.1 %" in words and "from 31.0 to 37.2" in words  # 0.31 * (1, 1.1, 1.2)
    for word in ("this encoder 34.1", "random init 8.3 ± 0.8", "HOG + colour 14.4 %", "0.52 %", "ridge", "twemoji"):
        assert word in words, words[:3000]


def test_a_score_says_its_interval_and_what_was_chosen_for_it(tmp_path):
    stage = sealed_stages(make_run(str(tmp_path)))["scores"]
    score = {
        "encoder": "trained", "benchmark": "pets", "protocol": "logistic", "metric": "map11", "seed": 0, "chance": 0.1,
        "train_size": 9, "test_size": 5,
    }  # fmt: skip
    records = [
        score | {"subset": subset, "fold": fold, "value": 0.5, "low": low, "high": 0.7, "settings": settings}
        for subset in ("unseen", "seen", "all")
        for fold, low, settings in (("a", 0.2, {"penalty": 1.0, "k": 3}), ("b", 0.4, {"penalty": 0.01, "k": 3}))
    ]
    table = score_tables._table("pets", "unseen", "logistic", records[:2])
    [row] = table.score_rows
    assert (table.subset, table.settings, table.chosen) == (", concepts not seen", "k 3", "penalty 0.01, 1")
    assert (row.low, row.high) == pytest.approx((0.3, 0.7))
    ends = [records[0] | {"settings": {"penalty": 1e-5, "penalty_at_edge": 1.0, "k": 3}}, records[1]]
    table = score_tables._table("pets", "unseen", "logistic", ends)
    assert (table.settings, table.chosen) == ("k 3", "penalty 1e-05 (an end of the grid), 0.01")
    assert (
        score_tables._table("pets", "unseen", "logistic", ends[:1]).settings
        == "k 3, penalty 1e-05 (an end of the grid)"
    )
    assert [table.protocol for table in score_tables.score_tables(stage)] == ["ridge", "knn", "ridge", "knn"]


def test_what_was_asked_is_what_was_accepted_and_refused(whole):
    words = " ".join(Page(whole).words.split())
    assert "captions captions 48 68 48 20" in words
    assert "images image groups, 192 images 48 48 48 0" in words
    assert "concept missing 12 17.6 %" in words and "empty 8 11.8 %" in words


def test_text_of_a_language_model_is_shown_and_never_interpreted(whole):
    assert "A photo of <b>something</b> else entirely" in Page(whole).words
    assert "<b>something</b>" not in whole


def test_recipe_lineage_losses_and_rates_are_there(whole):
    words = " ".join(Page(whole).words.split())
    for word in (
        "guidance_scale: 2.5",
        "multi positive",
        "ends at",
        "captions/s",
        "steps/s",
        "captions.total=48",
        "kB",
    ):
        assert word in words
    assert len(set(re.findall(r"\b[0-9a-f]{16}\b", words))) >= 6


@pytest.mark.parametrize("until", ["concepts", "captions", "images", "encoder"])
def test_a_run_that_stopped_early_gets_a_report_of_the_stages_it_has(tmp_path, until):
    run = make_run(str(tmp_path), until=until)
    page = Page(Path(write_report(run)).read_text(encoding="utf-8"))
    assert "not reached" in page.words and "No score" in page.words
    assert any(tag == "article" for tag, _ in page.tags) == (until != "concepts")


def test_a_run_before_its_first_stage_gets_a_report(tmp_path):
    run = make_run(str(tmp_path), until="concepts")
    (tmp_path / "runs" / run.name / "stages.json").unlink()
    assert "0 of 6 stages" in Path(write_report(run)).read_text(encoding="utf-8")


def test_stages_of_an_earlier_recipe_are_left_out(tmp_path):
    plan = make_run(str(tmp_path))
    settings = plan.source["overrides"]
    settings = settings | {"images": settings["images"] | {"guidance_scale": 5.0}}
    changed = resolve_plan(Request(plan.source["recipe"], plan.name, plan.root, settings=settings))
    assert list(sealed_stages(changed)) == ["concepts", "captions"]
    assert list(sealed_stages(plan))[-1] == "scores"
    words = " ".join(Page(Path(write_report(changed)).read_text(encoding="utf-8")).words.split())
    assert "2 of 6 stages" in words


def test_the_same_run_gives_the_same_report_and_a_moved_root_is_still_whole(tmp_path):
    run = make_run(str(tmp_path / "here"))
    first = Path(write_report(run)).read_bytes()
    assert Path(write_report(run)).read_bytes() == first
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert Path(write_report(read_plan(str(tmp_path / "there"), run.name))).read_bytes() == first


def test_a_remote_root_gets_its_report_beside_the_run():
    from tasks import storage

    root = f"memory://report-{time.monotonic_ns()}"
    url = write_report(make_run(root))
    assert url == f"{root}/runs/made-up/report.html" and b"data:image/" in (storage.read_bytes(url) or b"")


def test_metrics_of_any_shape_are_read_and_a_line_cut_by_a_kill_is_passed_over(tmp_path):
    rows = [{"step": step, "loss": 2.0 - step, "terms": {"ibot": 1.0}, "lr": 0.1, "note": "x"} for step in (0, 1, 1)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 2, "lo')
    found = curves(str(tmp_path))
    assert [(curve.name, curve.is_loss) for curve in found] == [("loss", True), ("ibot", True), ("lr", False)]
    assert curves(str(tmp_path / "absent")) == []


@pytest.mark.slow(15)
def test_a_browser_shows_every_part(whole, tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium on this machine: `apt-get install chromium` to look at the report in a browser")
    (tmp_path / "report.html").write_text(whole, encoding="utf-8")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    flags += f"--disable-component-update --disable-sync --user-data-dir={tmp_path}/profile --window-size=1280,4000"
    shot = tmp_path / "report.png"
    command = [browser, *flags.split(), f"--screenshot={shot}", f"file://{tmp_path}/report.html"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with Image.open(shot) as seen:
        colours = seen.convert("RGB").getcolors(1 << 24) or []
    assert seen.size == (1280, 4000) and len(colours) > 1000  # the images are noise in all colours


def test_siblings_are_compared_with_others_shard_by_shard(whole):
    words = " ".join(Page(whole).words.split())
    assert words.count("0 of 72 pairs") == 4  # 12 captions a shard, 6 pairs of 4 images; noise is never its neighbour
    assert "images-000003" in words and "How much siblings differ" in words
    assert "192 images by their records; 0 of them are a later attempt." in words and "No scorer was set" in words
    assert "Most alike" in words and "Most unlike" in words and "The best" not in words


def test_scores_are_shown_by_concept_with_the_best_and_the_worst_images(tmp_path):
    run = make_run(
        str(tmp_path), until="images", scorer=ByConcept(),
        images={"candidates": 6, "scorer": {"engine": "fake", "model": "fake"}},
    )  # fmt: skip
    words = " ".join(Page(Path(write_report(run)).read_text(encoding="utf-8")).words.split())
    assert "No scorer" not in words and "How well each fits its caption says by-concept" in words
    assert "Rendered for their captions and not kept: 96 reranked." in words  # 2 of 6, 48 captions
    # Twelve concepts of four captions each: dogs lead with 0.3 and half of 0.01, woven wool ends.
    board = words[words.index("Concepts Mean of") : words.index("The best")]
    assert board.index("dog 0.305 of 16") < board.index("red apple 0.285 of 16") < board.index("woven wool 0.085 of 16")
    assert words[words.index("The best") : words.index("The worst")].count("A dog") == 4, "one image a caption"
    assert words[words.index("The worst") : words.index("How much siblings differ")].count("woven wool") == 4


def test_images_flagged_as_unsafe_are_counted_and_never_shown(tmp_path):
    run = make_run(str(tmp_path), until="images", **looked_at(tmp_path / "checker"))
    groups = [group for shard in run.stages["images"].shards() for group in read_shard(shard, CONTRACT)]
    flagged = {image.seed for group in groups for image in group.images if image.unsafe}
    text = Path(write_report(run)).read_text(encoding="utf-8")
    assert 48 < len(flagged) < 144 and f"{len(flagged)} are flagged as unsafe and left out" in text
    shown = {int(seed) for seed in re.findall(r'title="[^"]*seed (\d+)"', text)}
    assert len(shown) > 40 and not shown & flagged
    assert image_sheet(sealed_stages(run)["images"])


def test_images_a_second_and_the_engines_share_are_told_in_report_and_status(tmp_path):
    run = make_run(str(tmp_path), until="images")
    write_plan(run.model_copy(update={"source": {"recipe": "of a file that is gone", "overrides": {}}}))
    record_sealed(run, sum_up(run.stages["images"], made=2, seconds=12, engine_busy=0.9731))
    words = " ".join(Page(Path(write_report(run)).read_text(encoding="utf-8")).words.split())
    assert "8 images/s engines 97.3 % busy 2 of 4" in words
    row = next(row for row in status(run.root, run.name) if row.stage == "images")
    assert (row.seconds, row.per_second, row.engine_busy) == (12, 8, 0.9731)
    shown = CliRunner().invoke(app, ["status", run.name, "--root", run.root], env={"COLUMNS": "200"}).stdout
    assert "images made at 8 images a second, engines 97.3 % busy" in shown.splitlines(), shown


def test_captions_that_are_too_long_for_the_text_encoder_are_told(tmp_path):
    class Impatient(FakeRenderer):
        def truncated_tokens(self, texts):
            return [max(0, len(text.split()) - 6) for text in texts]

    run = make_run(str(tmp_path), until="images", renderer=Impatient(16))
    found = long_captions(run.stages["images"])
    assert (found.of, found.tokens, found.whole) == (48, 32, True) and 0 < found.count < 48
    assert str(found) in Path(write_report(run)).read_text(encoding="utf-8")
    assert "longer than the 32 tokens that the text encoder reads" in str(found)
