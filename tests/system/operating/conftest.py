"""A real server with a real worker, once for all tests of a file, and a person at a real browser."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from support.person import CLICK_SECONDS, SECONDS, Person, browsing
from support.stack import Stack, standing

CHROMIUM = shutil.which("chromium")
expect.set_options(timeout=CLICK_SECONDS * SECONDS)  # what a page waits for by default is not what `expect` does


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """On SQLite, as `make ui` starts it."""
    with standing(tmp_path_factory.mktemp("operating"), {}) as stack:
        yield stack


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ended with its file: while Playwright is open no other test of the process can start an event loop."""
    if not CHROMIUM:
        pytest.skip("there is no Chromium; `make tools` installs Debian's")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def browse(browser: Browser, stack: Stack, tmp_path: Path) -> Callable[[], AbstractContextManager[Person]]:
    """A block, so that a failure inside it leaves a image behind."""
    return lambda: browsing(browser, stack.address, tmp_path)
