"""A person at a page of Chromium, who reads, clicks and types, and whose every request is remembered."""

import io
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Request, Response, expect

from flows.runs.form import ADVANCED, CHANGED

SECONDS = 1000.0
CLICK_SECONDS = 60
FINAL = re.compile("Completed|Failed|Crashed|Cancelled")
IMAGES = os.environ.get("SYNCLR_TEST_IMAGES")
IMAGE_WIDTH, IMAGE_COLOURS, IMAGE_BYTES = 1200, 96, 120_000


class Person:
    """Goes nowhere by address but to the first page: what is not found by clicking is not found."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.asked: set[str] = set()
        self.refused: list[str] = []
        self.trouble: list[str] = []
        page.context.on("request", lambda request: self.asked.add(request.url))
        page.context.on("response", self._hear)
        page.context.on("requestfailed", self._hear_failure)
        page.context.on("page", lambda opened: opened.on("websocket", lambda socket: self.asked.add(socket.url)))
        page.on("websocket", lambda socket: self.asked.add(socket.url))

    def _hear(self, response: Response) -> None:
        if response.status >= 500:  # the page says `Oops` to the person
            self.refused.append(f"{response.status} {response.request.method} {response.url}")

    def _hear_failure(self, request: Request) -> None:
        self.trouble.append(f"{request.failure} {request.url}")
        if request.failure == "csp":  # the browser may not ask there, and has not
            self.asked.discard(request.url)

    @property
    def asked_outside(self) -> set[str]:
        """Addresses beyond the server's own. `data:` and `blob:` are in the page itself."""
        here = urlsplit(self.address).netloc
        outside = {url for url in self.asked if urlsplit(url).scheme not in ("data", "blob")}
        return {url for url in outside if urlsplit(url).netloc != here}

    def arrive(self) -> None:
        self.page.goto(self.address)
        self.page.get_by_role("button", name="Deployments").wait_for()

    def go_to(self, name: str) -> None:
        """By the menu on the left."""
        self.page.locator(".p-context-nav-item", has_text=re.compile(rf"^\s*{name}\s*$")).click()

    def open_deployment(self, name: str, flow: str = "synclr") -> None:
        self.arrive()
        self.go_to("Deployments")
        row = self.page.locator("tr", has=self.link(flow)).filter(has=self.link(name))
        row.get_by_role("link", name=name, exact=True).first.click()
        self.page.locator(".run-menu__run-button").wait_for()

    def open_form(self, deployment: str) -> None:
        self.open_deployment(deployment)
        self.page.locator(".run-menu__run-button").click()
        self.page.get_by_text("Custom run", exact=True).click()
        self.setting("recipe").wait_for()

    def link(self, text: str) -> Locator:
        return self.page.get_by_role("link", name=text, exact=True)

    def setting(self, *path: str) -> Locator:
        """A box of the form: `settings`, `captions`, `total`."""
        found = self.page.locator("body")
        for name in path:
            label = f".schema-form-property__label:text-matches('^{name}( \\\\(Optional\\\\))?$')"
            found = found.locator(f".schema-form-property:has(> .p-label__header {label})")
        return found.first

    def fill_in(self, settings: Mapping[str, Any]) -> None:
        """`settings.captions.total` -> what to type; a list or `Choice` is chosen from those offered."""
        for path, value in settings.items():
            self.unfold(*path.split("."))
            box = self.setting(*path.split("."))
            if box.locator(".p-select").count():
                for word in value if isinstance(value, list) else [value]:
                    self.choose(box, word)
                self.page.keyboard.press("Escape")
            else:
                box.locator("input, textarea").first.fill(str(value))

    def unfold(self, *path: str) -> None:
        """Open what a box is folded into: all settings, and those of its stage."""
        for depth in range(1, len(path)):
            choice = ADVANCED if depth == 1 else CHANGED
            button = self.setting(*path[:depth]).get_by_role("button", name=choice, exact=True).first
            if not self.setting(*path[: depth + 1]).count():
                button.click()
                self.setting(*path[: depth + 1]).wait_for()

    def choose(self, box: Locator, word: str) -> None:
        option = self.page.locator(".p-select-option", has_text=re.compile(rf"^\s*{word}\s*$"))
        if not option.count():
            box.locator(".p-select-button__icon").first.click()
        option.first.click()

    def submit(self) -> None:
        self.page.get_by_role("button", name="Submit", exact=True).click()

    def start(self) -> str:
        """Submit the form, and see the new run in the list of its deployment; returns its id."""
        self.submit()
        self.page.locator(".run-menu__run-button").wait_for()
        self.tab("Runs")
        self.newest_run.wait_for()
        return self._id(self.newest_run.get_attribute("href"))

    @property
    def newest_run(self) -> Locator:
        return self.page.locator("a[href*='/flow-run/']").first

    def toast(self) -> str:
        """What the page says in its corner."""
        said = self.page.locator(".p-toast__message").first
        said.wait_for()
        return said.inner_text()

    def open_newest_run(self, deployment: str) -> str:
        """Returns its id."""
        self.open_deployment(deployment)
        self.tab("Runs")
        return self.open_listed_run()

    def open_listed_run(self) -> str:
        """The first of the list; returns its id."""
        self.newest_run.click()
        self.page.locator(".p-tab", has_text="Subflow Runs").wait_for()
        return self._id(self.page.url)

    @staticmethod
    def _id(url: str | None) -> str:
        return urlsplit(url or "").path.rsplit("/", 1)[1]

    def open_artifact(self, stage: str, what: str) -> None:
        """From the page of a run, by way of the links on its summary."""
        self.tab("Artifacts")
        self.page.locator("a[href*='/artifacts/']", has_text="-run-summary").first.click()
        row = self.page.get_by_role("row", name=re.compile(rf"^\s*{stage}\b"))
        with self.page.context.expect_page() as opened:  # links of artifacts open beside
            row.get_by_role("link", name=what, exact=True).click()
        self.page = opened.value
        self.page.locator(".p-tab", has_text="Raw").wait_for()

    def see_how_it_ended(self) -> str:
        """In the list of runs, looked at anew: drawn without a GPU while a run works, a page would take the cores from it."""
        self.page.reload()
        badge = self.page.locator(".state-badge").first
        expect(badge).to_have_text(FINAL)
        return badge.inner_text().strip()

    def tab(self, name: str) -> None:
        self.page.locator(".p-tab", has_text=re.compile(rf"^\s*{name}\s*$")).first.click()

    def image(self, name: str) -> None:
        """For the documentation, where `SYNCLR_TEST_IMAGES` names a folder."""
        if IMAGES:
            self.page.wait_for_timeout(700)  # animations
            drawn = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB").quantize(IMAGE_COLOURS)
            path = Path(IMAGES) / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            drawn.save(path, optimize=True)
            assert drawn.width == IMAGE_WIDTH and path.stat().st_size < IMAGE_BYTES, path


@contextmanager
def browsing(browser: Browser, address: str, folder: Path) -> Iterator[Person]:
    """What they saw last is in `page.png` and `page.txt` of the folder if the block fails."""
    page = browser.new_page(viewport={"width": IMAGE_WIDTH, "height": 900}, timezone_id="UTC", locale="en-GB")
    page.context.set_default_timeout(CLICK_SECONDS * SECONDS)
    person = Person(page, address)
    try:
        yield person
    except BaseException as error:
        person.page.screenshot(path=folder / "page.png")
        (folder / "page.txt").write_text(f"{person.page.url}\n\n{person.page.locator('body').inner_text()}")
        error.add_note(
            f"the page at that moment: {folder}/page.png; the server's trouble: {person.refused + person.trouble}"
        )
        raise
    finally:
        page.context.close()
    assert not person.asked_outside, f"a page of ours asks something of the outside: {person.asked_outside}"
    assert not person.refused, "what a person asked for was not done"
