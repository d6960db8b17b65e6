"""Fill templates: every text is escaped, every address is relative to the page that it stands on."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from flows.site import addresses
from flows.site.site import SitePage

TEMPLATES = Path(__file__).with_name("templates")
FILES = {"style.css": "text/css", "refresh.js": "text/javascript"}
"""What pages load beside images."""


def moment(unix_time: float | None) -> str:
    return "" if not unix_time else datetime.fromtimestamp(unix_time, UTC).strftime("%Y-%m-%d %H:%M UTC")


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def spaced(text: str) -> str:
    """`near_duplicate` as words."""
    return text.replace("_", " ")


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"moment": moment, "percent": percent, "spaced": spaced}
    named = ("FRONT", "run_page", "part_page", "stage_page", "shard_page", "sample_page", "choose_page", "compare_page")
    environment.globals |= {name: getattr(addresses, name) for name in named}
    return environment


ENVIRONMENT = _environment()


def html(page: SitePage, address: str) -> str:
    """The page as it stands at an address, which is counted from the front page."""
    above: dict[str, Any] = {"base": "../" * address.count("/"), "page_": page}
    return ENVIRONMENT.get_template(page.template).render(above | page.content)


def message(title: str, text: str) -> SitePage:
    """A page that says one thing."""
    return SitePage("message.html", title, (("runs", addresses.FRONT),), {"text": text})


def file(name: str) -> bytes:
    return (TEMPLATES / name).read_bytes()
