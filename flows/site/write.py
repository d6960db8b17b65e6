"""Write the pages of a site as files: what the application answers, followed link by link from its front page."""

import asyncio
from html.parser import HTMLParser
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx

from data_specs.errors import SpecError
from flows.site.addresses import FRONT
from flows.site.app import HOSTS, site_app
from flows.site.site import Site
from tasks import storage


def write_site(site: Site, folder: str) -> dict[str, Any]:
    """Write every page that links lead to; returns `{"folder", "pages", "files", "bytes"}`, images among the files.

    Raises SpecError for a folder that holds something already: nothing is written over.
    """
    if storage.names(folder):
        raise SpecError(f"--write {folder!r} is not empty, and nothing is ever written over; name a new folder")
    return asyncio.run(_written(site, folder))


async def _written(site: Site, folder: str) -> dict[str, Any]:
    count = {"pages": 0, "files": 0, "bytes": 0}
    waiting, known = [FRONT], {FRONT}
    transport = httpx.ASGITransport(site_app(site))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOSTS[0]}") as client:
        while waiting:
            address = waiting.pop()
            answer = await client.get(f"/{address}")
            if answer.status_code != httpx.codes.OK:
                continue  # what was there when the link was written is gone meanwhile
            storage.write_bytes(f"{folder.rstrip('/')}/{unquote(address)}", answer.content)
            is_page = answer.headers["content-type"].startswith("text/html")
            count["pages" if is_page else "files"] += 1
            count["bytes"] += len(answer.content)
            if is_page:
                found = [each for each in links(address, answer.text) if each not in known]
                waiting += found
                known.update(found)
    return {"folder": storage.absolute(folder)} | count


def links(address: str, html: str) -> list[str]:
    """The addresses of this site that a page leads to or loads, each once, from the front page."""
    found = (urlsplit(each) for each in _Links(html).found)
    here = (each.path for each in found if each.path and not each.scheme and not each.netloc)
    return list(dict.fromkeys(normpath(join(dirname(address), path)) for path in here))


class _Links(HTMLParser):
    """What the tags of a page name by `href` and `src`."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src") and value and tag]
