"""The same on PostgreSQL, with a password on the server, and ended by Ctrl-C in the middle of a run."""

from collections.abc import Iterator

import httpx
import psutil
import pytest
from playwright.sync_api import Browser

from support import postgres
from support.person import browsing
from support.small_run import SMALL_RUN, rendered_otherwise
from support.stack import RUN_SECONDS, STOP_SECONDS, Stack, standing, wait_until

pytestmark = [
    pytest.mark.long(120),
    pytest.mark.skipif(not postgres.programs(), reason="there is no PostgreSQL; `make tools` installs Debian's"),
]
PASSWORD = "only-here"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    secret = f"admin:{PASSWORD}"
    with postgres.database() as url:
        settings = {
            "PREFECT_API_DATABASE_CONNECTION_URL": url,
            "PREFECT_SERVER_API_AUTH_STRING": secret,
            "PREFECT_API_AUTH_STRING": secret,
        }
        with standing(tmp_path_factory.mktemp("postgres"), settings, PASSWORD) as stack:
            yield stack


def test_a_request_without_the_password_is_refused(stack: Stack) -> None:
    url = f"{stack.address}/api/flow_runs/filter"
    assert httpx.post(url, json={}).status_code == 401
    assert httpx.post(url, json={}, auth=("admin", "wrong")).status_code == 401
    assert httpx.post(url, json={}, auth=("admin", PASSWORD)).status_code == 200


def test_a_run_is_started_and_ends_in_the_pages_after_the_password(stack: Stack, browser: Browser, tmp_path) -> None:
    with browsing(browser, stack.address, tmp_path) as person:
        person.page.goto(stack.address)
        person.page.locator("input[type=password]").first.fill(f"admin:{PASSWORD}")
        person.page.get_by_role("button", name="Login").click()
        person.open_form("run")
        person.fill_in(SMALL_RUN | {"name": "first"})
        run = person.start()
        stack.wait_for_end(run)
        assert person.see_how_it_ended() == "Completed", stack.explain(run)()
        person.open_listed_run()
        person.open_artifact("scores", "table")
    assert not (stack.home / "prefect.db").exists()
    assert stack.command_line.json("verify", "first")["faults"] == []


def test_ctrl_c_in_the_middle_of_a_run_leaves_no_process_and_no_port_behind(stack: Stack) -> None:
    run = stack.start_run("run", rendered_otherwise("stopped", steps=11) | {"until": "images"})
    flow = stack.flow_process(run)
    wait_until(lambda: flow.children(), RUN_SECONDS, stack.explain(run))
    family = stack.family
    assert stack.press_ctrl_c() == 0
    said = stack.said.read_text()
    assert said.endswith("stopped\n") and "Traceback" not in said and PASSWORD not in said
    _, left = psutil.wait_procs(family, timeout=STOP_SECONDS)
    assert not left
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{stack.address}/api/health")
