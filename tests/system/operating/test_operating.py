"""What an operator does in Prefect's own pages, by clicking: schedule, watch, fail, resume, trace; and what must never happen."""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

from support.person import IMAGES, SECONDS, Person, browsing
from support.small_run import CAPTIONS, DRAWN_AT_ONCE, ONE_WORKER, SMALL_RUN, parameters, rendered_otherwise
from support.stack import RUN_SECONDS, Stack, wait_until

pytestmark = pytest.mark.slow(60)
Browse = Callable[[], AbstractContextManager[Person]]


@pytest.fixture(scope="module")
def scheduled(stack: Stack, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> datetime:
    """A schedule made by clicking, for one of the next minutes; while it ripens, other tests do their work."""
    # The server looks for new schedules once a minute and the seconds are cut off: any nearer, the first time passes unseen.
    when = datetime.now(UTC) + timedelta(seconds=230)
    with browsing(browser, stack.address, tmp_path_factory.mktemp("scheduled")) as person:
        person.open_deployment("concepts")
        person.page.get_by_role("button", name="Schedule", exact=True).click()
        dialog = person.page.get_by_role("dialog")
        dialog.get_by_role("button", name="Cron", exact=True).click()
        dialog.locator(".p-label", has_text="Slug").locator("input").first.fill("once-today")
        dialog.locator(".p-label", has_text=re.compile("^Value")).locator("input").first.fill(
            f"{when.minute} {when.hour} * * *"
        )
        person.image("schedule")
        dialog.get_by_role("button", name="Save", exact=True).click()
        person.page.get_by_text("once-today").first.wait_for()
    return when.replace(second=0, microsecond=0)


@pytest.fixture(scope="module")
def finished(stack: Stack, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The small run, started from the deployment's form; its run."""
    with browsing(browser, stack.address, tmp_path_factory.mktemp("finished")) as person:
        return run_from_the_form(person, stack)


def run_from_the_form(person: Person, stack: Stack) -> str:
    person.arrive()
    person.go_to("Deployments")
    person.link("captions").wait_for()
    person.image("deployments")
    person.open_deployment("run")
    person.image("deployment")
    person.open_form("run")
    person.fill_in(SMALL_RUN | {"name": "first"})
    person.unfold("settings", "captions", "model")
    person.setting("settings", "captions", "model").scroll_into_view_if_needed()
    person.image("settings")
    person.setting("recipe").scroll_into_view_if_needed()
    person.image("form")
    run = person.start()
    if IMAGES:
        wait_until(lambda: list(stack.root.glob("images/*/lineage.json")), RUN_SECONDS, stack.explain(run))
        person.open_newest_run("run")
        person.tab("Subflow Runs")
        see_graph(person, "images of first")
        person.image("watch")
        person.open_deployment("run")
        person.tab("Runs")
    stack.wait_for_end(run)
    assert person.see_how_it_ended() == "Completed", stack.explain(run)()
    return run


@pytest.mark.long(30)
def test_a_schedule_is_made_by_clicking(scheduled: datetime, stack: Stack) -> None:
    """It ripens while other tests do their work; the last of them sees it fire."""
    [schedule] = stack.get("/deployments/name/synclr/concepts")["schedules"]
    assert schedule["active"] and schedule["schedule"]["cron"] == f"{scheduled.minute} {scheduled.hour} * * *"


def shards(stack: Stack, stage: str) -> dict[Path, int]:
    """Every file of a stage, and when it was written."""
    return {path: path.stat().st_mtime_ns for path in (stack.root / stage).rglob("*") if path.is_file()}


def test_a_run_that_was_filled_in_and_started_by_clicking_ends(finished: str, stack: Stack) -> None:
    run = stack.run(finished)
    assert run["name"] == "first: concepts to scores" and run["state_name"] == "Completed"
    assert run["parameters"]["settings"]["captions"] == parameters(CAPTIONS)["settings"]["captions"], (
        "only what was typed"
    )
    assert stack.command_line.json("verify", "first")["faults"] == []


def test_contact_sheet_scores_and_lineage_are_found_by_clicking_only(finished: str, browse: Browse) -> None:
    with browse() as person:
        open_run(person, "run")
        person.open_artifact("images", "sheet")
        sheet = person.page.locator("article img").first
        sheet.wait_for()
        assert sheet.evaluate("image => image.decode().then(() => image.naturalWidth)") > 200
        person.image("sheet")
        open_run(person)
        person.open_artifact("images", "lineage")
        person.page.get_by_text("Read: captions").first.wait_for()
        person.image("lineage")
        open_run(person)
        person.open_artifact("scores", "table")
        expect(person.page.get_by_role("table").first).to_contain_text("styles")
        person.image("scores")


def test_prefects_pages_lead_to_our_own_of_the_same_run(finished: str, stack: Stack) -> None:
    wanted = {"artifacts": {"key": {"any_": ["first-run-summary"]}}}
    [summary] = stack.post("/artifacts/filter", wanted)
    described = stack.get("/deployments/name/synclr/run")["description"]
    found = re.search(r"\((http://127\.0\.0\.1:\d+)/runs/first/index\.html\)", summary["data"])
    assert found and f"[{found[1]}]({found[1]})" in described
    page = httpx.get(f"{found[1]}/runs/first/index.html").raise_for_status()
    assert "finished" in page.text and finished in page.text, "and back to the run in Prefect"


def open_run(person: Person, image: str | None = None) -> None:
    person.open_newest_run("run")
    expect(person.page.locator(".state-badge").first).to_have_text(re.compile("Completed"))
    if image and IMAGES:
        see_graph(person, "Artifacts")
        person.image(image)


def see_graph(person: Person, beside: str) -> None:
    """It is drawn on a canvas, which tells nobody when it is done."""
    person.page.get_by_text(beside).first.wait_for(timeout=RUN_SECONDS * SECONDS)
    person.page.wait_for_timeout(4 * SECONDS)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"settings.captions.per_shard": 0}, "captions.per_shard.*0 is less than the minimum of 1"),
        ({"settings.captions.top_p": 1.5}, "captions.top_p.*1.5 is greater than the maximum of 1"),
    ],
)
def test_a_bad_value_is_refused_in_the_form_and_makes_no_run(
    stack: Stack, browse: Browse, typed: dict[str, Any], said: str
) -> None:
    before = len(stack.runs("captions"))
    with browse() as person:
        person.open_form("captions")
        person.fill_in(typed)
        person.submit()
        assert re.search(said, person.toast(), re.DOTALL)
        person.image("refused")
    assert len(stack.runs("captions")) == before


def test_a_stage_that_failed_goes_on_by_retry_without_touching_what_is_sealed(
    finished: str, stack: Stack, browse: Browse
) -> None:
    captions = shards(stack, "captions")
    with browse() as person, ExitStack() as mended:
        mended.enter_context(damaged(next(path for path in captions if path.match("captions-000001.*.tar"))))
        person.open_form("images")
        person.fill_in({"name": "mended", **CAPTIONS, **DRAWN_AT_ONCE, **ONE_WORKER, "settings.images.steps": 7})
        run = person.start()
        stack.wait_for_end(run)
        assert person.see_how_it_ended() == "Failed", stack.explain(run)()
        person.open_listed_run()
        person.tab("Details")
        person.page.get_by_text("See More").click()
        message = person.page.get_by_text(re.compile(r"captions-000001\.\w{12}\.tar is damaged")).first
        message.wait_for()
        assert "Traceback" not in message.inner_text()
        message.evaluate("element => element.scrollIntoView({block: 'center'})")
        person.image("failed")
        made = sealed_images(stack, steps=7)
        assert [path.name for path in made] == ["images-000000.json"], "the neighbour is sealed"

        mended.close()
        person.page.get_by_role("button", name="Retry", exact=True).click()
        person.image("retry")
        person.page.get_by_role("dialog").get_by_role("button", name="Retry", exact=True).click()
        expect(person.page.locator(".state-badge").first).not_to_have_text(re.compile("Failed"))
        person.open_deployment("images")
        person.tab("Runs")
        stack.wait_for_end(run)
        assert person.see_how_it_ended() == "Completed", stack.explain(run)()
    assert shards(stack, "captions") == captions
    assert {path: sealed_images(stack, steps=7)[path] for path in made} == made
    assert stack.command_line.json("verify", "mended")["faults"] == []


@contextmanager
def damaged(shard: Path) -> Iterator[None]:
    """One byte of it is another, for the time of the block."""
    sound, written = shard.read_bytes(), shard.stat()
    shard.write_bytes(sound[:-2000] + bytes([sound[-2000] ^ 1]) + sound[-1999:])
    try:
        yield
    finally:
        shard.write_bytes(sound)
        os.utime(shard, ns=(written.st_atime_ns, written.st_mtime_ns))


def sealed_images(stack: Stack, steps: int) -> dict[Path, int]:
    """Manifests of the images that were drawn in so many steps, and when they were written."""
    facts = {path.parent: json.loads(path.read_text()) for path in stack.root.glob("images/*/lineage.json")}
    folders = [folder for folder, said in facts.items() if said["spec"]["steps"] == steps]
    return {path: path.stat().st_mtime_ns for folder in folders for path in sorted(folder.glob("images-??????.json"))}


@pytest.mark.long(240)
def test_a_schedule_fires_on_its_own(scheduled: datetime, stack: Stack) -> None:
    def fired() -> list[dict[str, Any]]:
        return [run for run in stack.runs("concepts") if run["auto_scheduled"] and run["state_type"] == "COMPLETED"]

    run = wait_until(fired, 480, lambda: str(stack.runs("concepts")))[0]
    late = datetime.fromisoformat(run["start_time"]) - scheduled
    # A worker takes a run up to ten seconds before its time, and its process may be quick (0.4 s early, seen).
    assert timedelta(seconds=-10) < late < timedelta(minutes=5)


@pytest.mark.long(120)
@pytest.mark.parametrize(("steps", "flow_too"), [(8, False), (60, True)], ids=["worker", "worker_and_flow"])
def test_a_run_goes_on_after_sigkill_and_nothing_runs_for_ever(
    finished: str, stack: Stack, steps: int, flow_too: bool
) -> None:
    run = stack.start_run("images", rendered_otherwise(f"killed-{steps}", steps=steps))
    flow = stack.flow_process(run)
    if flow_too:
        made = wait_until(lambda: sealed_images(stack, steps), RUN_SECONDS, stack.explain(run))
    worker = stack.process_of("worker", "start")
    worker.kill()
    if flow_too:
        flow.kill()
    assert stack.wait_for_end(run)["state_name"] == "Completed", stack.explain(run)()
    if flow_too:
        assert any(state.startswith("Crashed") for state in stack.states(run)), "it was noticed"
        assert {path: sealed_images(stack, steps)[path] for path in made} == made, "what was sealed is reused"
    assert stack.process_of("worker", "start").pid != worker.pid
    wait_until(lambda: not stack.open_runs(), 90, lambda: f"shown as running: {stack.open_runs()}")
    assert stack.command_line.json("verify", f"killed-{steps}")["faults"] == []


@pytest.mark.long(60)
def test_two_runs_of_one_lineage_at_once_share_it(finished: str, stack: Stack) -> None:
    both = [stack.start_run("images", rendered_otherwise(name, steps=9)) for name in ("left", "right")]
    assert [stack.wait_for_end(run)["state_name"] for run in both] == ["Completed"] * 2
    assert len(sealed_images(stack, steps=9)) == 2, "one lineage, two shards"
    made = [stack.command_line.json("status", name)[2] for name in ("left", "right")]
    assert made[0]["lineage"] == made[1]["lineage"] and made[0]["finished"] and made[1]["finished"]
    assert stack.command_line.json("verify", "left")["faults"] == []


def test_nothing_but_loopback_listens_or_is_spoken_to(finished: str, stack: Stack) -> None:
    assert stack.seen.listening == {"127.0.0.1"}
    assert set(stack.seen.spoken_to) == {"127.0.0.1"}
    assert stack.get("/admin/settings")["server"]["analytics_enabled"] is False
