"""Whoever is shown a run in Prefect is led to our own pages of it, where some are known to stand."""

import pytest

from flows.runs.own_pages import SITE, site_link
from flows.site.addresses import run_page


def test_a_run_is_linked_where_pages_are_known_to_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SITE, raising=False)
    assert site_link("a run", "its images") == ""
    monkeypatch.setenv(SITE, "http://127.0.0.1:4201")
    assert site_link("a run", "its images") == f"[its images](http://127.0.0.1:4201/{run_page('a run')})"
