"""Five runs are used as a person uses them, for as long as asked; then the pages that links lead to are opened.

`SYNCLR_TEST_MINUTES` says how long (2 unless set), `SYNCLR_TEST_PAGES` how many of Prefect's pages (40; 0: all). Whatever a page
would answer with "Oops", whatever leads nowhere, and whatever is asked of the outside, fails it.
"""

import html
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser

from support.person import SECONDS, Person, browsing
from support.small_run import DRAWN_AT_ONCE, ONE_WORKER, SMALL_RUN, parameters
from support.stack import RUN_SECONDS, Stack, wait_until

MINUTES = float(os.environ.get("SYNCLR_TEST_MINUTES", "2"))
PAGES = int(os.environ.get("SYNCLR_TEST_PAGES", "40"))
RUNS = 5
TABS = ("Logs", "Task Runs", "Subflow Runs", "Artifacts", "Details", "Parameters", "Job Variables")
FIRST = ("/runs", "/deployments", "/artifacts", "/variables", "/concurrency-limits")
BESIDE = re.compile("/(blocks|automations|settings|notifications|account|dashboard|api|docs)")
"""Prefect's pages that have nothing of a run."""
WRONG = re.compile(r"Oops|went wrong|Page not found|could not be found|\b404\b", re.IGNORECASE)
Use = Callable[[Person, Stack, int], None]
pytestmark = pytest.mark.long(240 + 60 * MINUTES)


@pytest.fixture(scope="module")
def runs(stack: Stack) -> list[str]:
    """Of two seeds: the first of each makes all, the others reuse a part."""
    return [stack.start_run("run", small(f"run-{number}", number)) for number in range(RUNS)]


def small(name: str, number: int) -> dict[str, Any]:
    typed = SMALL_RUN | DRAWN_AT_ONCE | {"name": name, "until": "images", "settings.images.steps": 3 + number}
    return parameters(typed | {"settings.seed": number % 2})


def test_used_for_as_long_as_asked_and_then_opened_page_by_page(
    stack: Stack, browser: Browser, runs: list[str], tmp_path: Path
) -> None:
    chance = random.Random(int(os.environ.get("SYNCLR_TEST_SEED", "0")))
    done: Counter[Use] = Counter()
    until = time.monotonic() + 60 * MINUTES
    with browsing(browser, stack.address, tmp_path) as person:
        while time.monotonic() < until or not set(USES) <= set(done):
            what = chance.choice(USES)
            what(person, stack, done[what])
            done[what] += 1
            assert not WRONG.search(toasts(person)), (what.__name__, toasts(person))
    print({what.__name__: times for what, times in done.items()})
    for run in runs:
        assert stack.wait_for_end(run, RUN_SECONDS)["state_type"] == "COMPLETED", stack.explain(run)()
    wait_until(lambda: not stack.open_runs(), RUN_SECONDS, lambda: str(stack.open_runs()))
    with browsing(browser, stack.address, tmp_path) as person:
        opened = crawl(person, stack, chance)
    print(dict(opened))
    assert min(opened.values()) > 10, opened
    assert "database is locked" not in (stack.home / "synclr-logs" / "server.log").read_text(errors="replace")


def toasts(person: Person) -> str:
    return " ".join(person.page.locator(".p-toast__message").all_inner_texts())


def look_through_a_run(person: Person, stack: Stack, times: int) -> None:
    person.open_newest_run("run")
    for name in TABS:
        tab = person.page.locator(".p-tab", has_text=re.compile(rf"^\s*{name}\s*$"))
        if tab.count():
            tab.first.click()
            person.page.wait_for_timeout(0.5 * SECONDS)


def follow_its_artifacts(person: Person, stack: Stack, times: int) -> None:
    person.open_newest_run("run")
    person.tab("Artifacts")
    links = person.page.locator("a[href*='/artifacts/artifact/']")
    links.first.wait_for()
    links.nth(times % links.count()).click()
    person.page.locator(".p-tab", has_text="Raw").wait_for()


def switch_a_schedule(person: Person, stack: Stack, times: int) -> None:
    """On, and off again."""
    person.open_deployment("run")
    switch = person.page.locator(".p-toggle").first
    for _ in range(2):
        switch.click()
        person.page.wait_for_timeout(1 * SECONDS)


def start_from_the_form(person: Person, stack: Stack, times: int) -> None:
    person.open_form("captions")
    person.fill_in({"recipe": "tiny", "name": f"typed-{times}", "settings.captions.engine": "fake", **ONE_WORKER})
    person.start()


def cancel_one(person: Person, stack: Stack, times: int) -> None:
    settings = {"captions": {"engine": "fake"}, "images": {"steps": 200}, "execution": {"workers": 1}, "seed": 7}
    run = stack.start_run("run", {"recipe": "tiny", "name": "cancelled", "until": "images", "settings": settings})
    wait_until(lambda: stack.run(run)["state_type"] == "RUNNING", RUN_SECONDS, stack.explain(run))
    person.open_newest_run("run")
    person.page.get_by_role("button", name="Cancel", exact=True).first.click()
    person.page.get_by_role("button", name="Confirm", exact=True).click()
    wait_until(lambda: stack.run(run)["state_type"] == "CANCELLED", RUN_SECONDS, stack.explain(run))


def read_our_own_pages(person: Person, stack: Stack, times: int) -> None:
    site = httpx.get(own_pages(stack), timeout=60)  # as long as the person at Chromium waits for anything
    assert site.is_success and "run-0" in site.text


USES: list[Use] = [
    look_through_a_run,
    follow_its_artifacts,
    switch_a_schedule,
    start_from_the_form,
    cancel_one,
    read_our_own_pages,
]


def own_pages(stack: Stack) -> str:
    found = re.search(r"where they come from: (\S+)", stack.said.read_text())
    assert found
    return found[1]


def crawl(person: Person, stack: Stack, chance: random.Random) -> Counter[str]:
    """Opens what links of Prefect's pages and ours lead to, from the first of each on; how many there were of each kind."""
    site = own_pages(stack).rstrip("/")
    waiting = [f"{stack.address}{path}" for path in FIRST] + [f"{site}/"]
    seen, opened, wrong = set(waiting), Counter[str](), list[str]()
    while waiting and (opened["Prefect's"] < PAGES or not PAGES):
        url = waiting.pop(chance.randrange(len(waiting)) if opened.total() > len(FIRST) else 0)
        found, fault = read(url) if url.startswith(site) else look_at(person, url)
        opened["ours" if url.startswith(site) else "Prefect's"] += 1
        wrong += [f"{url}: {fault}"] if fault else []
        for link in (urljoin(url, each) for each in found):
            parts = urlsplit(link)
            if parts.scheme == "file" and not Path(unquote(parts.path)).exists():
                wrong.append(f"{url} leads to {link}, where nothing is")
            link = parts._replace(fragment="", query="").geturl()
            if link.startswith((f"{stack.address}/", f"{site}/")) and link not in seen and not BESIDE.match(parts.path):
                seen.add(link)
                waiting.append(link)
    assert not wrong, "\n".join(wrong)
    return opened


def read(url: str) -> tuple[list[str], str]:
    """The links of a page of ours, and what is wrong with it."""
    answer = httpx.get(url, follow_redirects=True, timeout=60)
    links = re.findall(r'href="([^"]+)"', answer.text) if "html" in answer.headers["content-type"] else []
    return [
        html.unescape(link) for link in links
    ], "" if answer.is_success else f"{answer.status_code} {answer.text[:200]}"


def look_at(person: Person, url: str) -> tuple[list[str], str]:
    """The same of one of Prefect's, drawn."""
    answer = person.page.goto(url)
    person.page.locator(".p-context-nav-item").first.wait_for()
    person.page.wait_for_load_state("networkidle")
    said = person.page.locator("body").inner_text()
    fault = WRONG.search(said) or (answer and not answer.ok and str(answer.status))
    links = person.page.locator("a[href]").evaluate_all("links => links.map(link => link.href)")
    return links, f"{fault}: {said[-300:]}" if fault else ""
