"""A person at Chromium on our own pages: wide, on a phone, without JavaScript; a run under way is shown as it goes on."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from flows.runs.plan import RunPlan
from support.command_line import CommandLine, free_port
from support.made_up_run import make_run
from support.person import browsing
from tasks import storage

pytestmark = pytest.mark.slow(30)


@dataclass
class Served:
    """A site of one whole run and one that lacks its last image shard."""

    address: str
    under_way: RunPlan


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("site")
    make_run(str(folder / "root"), "whole")
    under_way = make_run(str(folder / "root"), "under-way", until="images", captions={"max_words": 41})
    storage.remove(under_way.stages["images"].shard(3).file("json"))
    process = CommandLine(folder / "root", folder / "home").start("site", "--port", str(port := free_port()))
    try:
        assert process.stdout and "127.0.0.1" in process.stdout.readline()
        yield Served(f"http://127.0.0.1:{port}", under_way)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def click_through(page: Page) -> Iterator[str]:
    """From the list of runs to an image, on to the scores of the encoder that saw it: what each page says."""
    heading = page.get_by_role("heading", level=1)
    yield page.locator("main").inner_text()
    page.get_by_role("link", name="whole", exact=True).click()
    expect(heading).to_have_text("whole")
    yield page.locator("main").inner_text()
    page.locator("a.cell[href*='images-000001']").click()
    expect(heading).to_have_text("images-000001")
    yield page.locator("main").inner_text()
    page.locator(".sheet .four a").first.click()
    expect(page.get_by_role("heading", name="Prompt")).to_be_visible()
    yield page.locator("main").inner_text()
    page.locator("a[href$='encoder.html']").first.click()
    expect(heading).to_have_text("Encoder of whole")
    yield page.locator("main").inner_text()
    page.locator("a[href$='scores.html']").first.click()
    expect(heading).to_have_text("Scores of whole")
    yield page.locator("main").inner_text()


@pytest.mark.parametrize("width", [1200, 390])
def test_no_page_is_wider_than_its_window_and_nothing_outside_is_asked(
    browser: Browser, served: Served, tmp_path: Path, width: int
) -> None:
    with browsing(browser, served.address, tmp_path) as person:
        person.page.set_viewport_size({"width": width, "height": 800})
        person.page.goto(served.address)
        for said in click_through(person.page):
            assert said and person.page.evaluate("document.documentElement.scrollWidth") <= width, person.page.url
        assert "this encoder" in said and not person.trouble and not person.refused


def test_every_click_works_without_javascript(browser: Browser, served: Served) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(served.address)
    assert "this encoder" in list(click_through(page))[-1]
    page.close()


def test_a_run_under_way_is_shown_as_it_goes_on_and_then_no_more(
    browser: Browser, served: Served, tmp_path: Path
) -> None:
    with browsing(browser, served.address, tmp_path) as person:
        person.page.goto(f"{served.address}/runs/under-way/index.html")
        expect(person.page.locator(".state")).to_have_text("images 3/4")
        make_run(served.under_way.root, "under-way", until="images", captions={"max_words": 41})
        expect(person.page.locator(".state")).to_have_text("finished to images")
        asked = len(person.asked)
        person.page.wait_for_timeout(6000)
        assert len(person.asked) == asked
