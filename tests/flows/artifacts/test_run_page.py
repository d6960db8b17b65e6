"""The page of a whole run: what it does now, from its first second to its end."""

import re

import pytest

from data_specs.errors import ContractError
from flows.artifacts import run_page as module
from flows.artifacts.run_page import RunPage
from flows.runs.plan import RunPlan
from support.made_up_run import make_run
from tasks.events import Advanced, Finished, Published, ShardSealed, Started, Waiting

FLOW_RUN = "0199a0de-0000-7000-8000-000000000000"
NOW = re.compile(r"^\*\*(.+)\*\*$", re.MULTILINE)


@pytest.fixture(autouse=True)
def without_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.RedrawnArtifact, "start", lambda _: None)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunPlan:
    return make_run(str(tmp_path_factory.mktemp("root")))


def now(page: RunPage) -> str:
    found = NOW.search(page.drawn()[0])
    assert found
    return found[1]


def line(page: RunPage, stage: str) -> list[str]:
    [found] = [each for each in page.drawn()[0].splitlines() if each.startswith(f"| {stage} |")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_in_its_first_second_it_shows_six_stages_and_which_shards_are_there(tmp_path):
    plan = make_run(str(tmp_path), until="captions")
    with RunPage(plan.model_copy(update={"until": "encoder"}), FLOW_RUN) as page:
        assert now(page) == "concepts: begins"
        assert line(page, "captions")[:3] == ["captions", "sealed", "4 of 4"] and line(page, "captions")[4] == "48"
        assert line(page, "images")[:3] == ["images", "to come", "0 of 4"]
        assert line(page, "scores")[1] == "not asked for"


def test_it_tells_shards_rate_and_time_left_while_a_stage_is_at_work(tmp_path):
    plan = make_run(str(tmp_path), until="captions").model_copy(update={"until": "scores"})
    with RunPage(plan, FLOW_RUN) as page:
        page(Started(plan.name, "images", "images", 160, 0))
        page(Advanced(plan.name, "images", 40, "engine 90% busy"))
        page(ShardSealed(plan.name, "images", 0))
        assert re.fullmatch(
            r"images: 1 of 4 shards sealed, 40 of 160 images, [\d.,]+/s, \d:\d\d:\d\d left, engine 90% busy", now(page)
        )
        assert line(page, "images")[1:3] == ["at work", "1 of 4"]
        assert page.drawn()[1].startswith(f"the whole run {plan.name}: images: 1 of 4 shards sealed")


def test_it_says_for_whom_a_stage_waits_and_the_wait_is_no_part_of_the_rate(tmp_path, monkeypatch):
    plan, clock = make_run(str(tmp_path), until="concepts").model_copy(update={"until": "scores"}), [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    with RunPage(plan, FLOW_RUN) as page:
        page(Started(plan.name, "captions", "captions", 48, 0))
        page(
            Waiting(plan.name, "captions", "waits for the engine slot that run other holds for images since 07:30 UTC")
        )
        assert "waits for the engine slot that run other holds for images since 07:30 UTC" in now(page)
        assert line(page, "captions")[1] == "waits"
        clock[0] = 170.0
        page(Waiting(plan.name, "captions", ""))
        clock[0] = 180.0
        page(Advanced(plan.name, "captions", 20))
        assert "20 of 48 captions, 2/s, 0:00:14 left" in now(page) and "waits" not in now(page)


def test_of_a_stage_that_a_flow_run_of_its_own_works_on_it_shows_the_shards(tmp_path, monkeypatch):
    plan = make_run(str(tmp_path), until="captions").model_copy(update={"since": "images", "until": "images"})
    with RunPage(plan, FLOW_RUN) as page:
        with page.handed_over("images"):
            assert now(page).startswith("images: a flow run of its own works on it")
            assert line(page, "images")[1:3] == ["at work", "0 of 4"]
            make_run(str(tmp_path), until="images")
            monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
            assert line(page, "images")[1:3] == ["at work", "4 of 4"]
        assert line(page, "images")[1:3] == ["sealed", "4 of 4"]
    assert now(page) == "done"


def test_a_stage_that_failed_elsewhere_is_shown_as_failed(tmp_path):
    plan = make_run(str(tmp_path), until="captions").model_copy(update={"since": "images", "until": "images"})
    with pytest.raises(ContractError), RunPage(plan, FLOW_RUN) as page, page.handed_over("images"):
        raise ContractError("captions-000001.tar is damaged")
    assert now(page) == "failed: captions-000001.tar is damaged" and line(page, "images")[1] == "failed"


def test_between_two_stages_it_names_the_next_one_and_for_whom_that_waits_before_it_counts_anything(tmp_path):
    plan = make_run(str(tmp_path), until="encoder").model_copy(update={"since": "encoder", "until": "embeddings"})
    with RunPage(plan, FLOW_RUN) as page:
        page(Started(plan.name, "encoder", "steps", 6, 6))
        page(Finished(plan.name, "encoder", 1.0))
        assert now(page) == "embeddings: begins"
        page(
            Waiting(
                plan.name, "embeddings", "waits for the engine slot that run other holds for images since 07:30 UTC"
            )
        )
        assert now(page).startswith("embeddings: waits for the engine slot") and line(page, "embeddings")[1] == "waits"
        page(Waiting(plan.name, "embeddings", ""))
        assert now(page) == "embeddings: begins" and line(page, "embeddings")[1] == "to come"
        page(Started(plan.name, "embeddings", "shards", 3, 3))
        page(Finished(plan.name, "embeddings", 1.0))
        assert now(page) == "writes its report"


def test_a_run_that_fails_says_where_and_why(tmp_path):
    plan = make_run(str(tmp_path), until="captions").model_copy(update={"until": "scores"})
    with pytest.raises(ContractError), RunPage(plan, FLOW_RUN) as page:
        page(Started(plan.name, "images", "images", 160, 0))
        raise ContractError("captions-000002.tar is damaged")
    assert now(page) == "failed: captions-000002.tar is damaged" and line(page, "images")[1] == "failed"


def test_at_its_end_links_lead_to_this_runs_artifacts_and_report_and_trace_are_named(run):
    with RunPage(run, FLOW_RUN) as page:
        page(Started(run.name, "images", "images", 160, 160))
        page(Finished(run.name, "images", 1.0))
        page(Published(run.name, "images", (("lineage", "id-of-lineage"), ("sheet", "id-of-sheet"))))
        page.report("there/report.html")
    drawn = page.drawn()[0]
    assert now(page) == "done" and "`there/report.html`" in drawn and "this encoder 34.1 %" in drawn
    assert (
        line(page, "images")[3]
        == "[lineage](/artifacts/artifact/id-of-lineage), [sheet](/artifacts/artifact/id-of-sheet)"
    )
    assert f"/artifacts/key/{run.name}-scores-table" in line(page, "scores")[3], "of a run before"
    assert re.search(rf"`synclr trace [0-9a-f-]+ --root {re.escape(run.root)}`", drawn)
