"""Link to runs in Prefect's pages, except to those of which the server says that it knows none: other servers had them."""

from collections.abc import Iterable
from uuid import UUID

import httpx

from flows.site.site import Site

SECONDS = 2.0
"""A page does not wait longer for a server on this machine; unasked, every link is kept."""


def links_to(site: Site, flow_runs: Iterable[str]) -> dict[str, str]:
    """The addresses of flow runs, by id; empty for one whose page is not on the server that the site links to.

    Without such a server nothing is found. Where it does not answer, or answers nobody without a password, it is not known to
    lack any.
    """
    wanted = sorted(filter(_is_id, set(flow_runs)))
    if not site.prefect or not wanted:
        return {}
    known = _known(site.prefect, wanted)
    return {each: f"{site.prefect}/runs/flow-run/{each}" if known is None or each in known else "" for each in wanted}


def _known(server: str, flow_runs: list[str]) -> set[str] | None:
    try:
        asked = {"flow_runs": {"id": {"any_": flow_runs}}}
        answer = httpx.post(f"{server}/api/flow_runs/filter", json=asked, timeout=SECONDS)
        answer.raise_for_status()
        return {str(run["id"]) for run in answer.json()}
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return None


def _is_id(flow_run: str) -> bool:
    try:
        return str(UUID(flow_run)) == flow_run
    except ValueError:
        return False
