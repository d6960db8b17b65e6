"""A run of ten thousand shards is paged: no page holds more than some hundred of them."""

import pytest
from starlette.testclient import TestClient

from flows.runs.plan import RunPlan, write_plan
from flows.runs.planning import resolve_plan
from flows.runs.request import Request
from flows.site.app import site_app
from flows.site.site import Site
from support.made_up_run import SETTINGS
from tasks import storage


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> RunPlan:
    root = str(tmp_path_factory.mktemp("root"))
    settings = SETTINGS | {"captions": SETTINGS["captions"] | {"total": 120_000}}
    plan = resolve_plan(Request("tiny", "large", root, settings=settings))
    write_plan(plan)
    for index in (3, 700, 9_999):
        storage.write_bytes(plan.stages["images"].shard(index).file("json"), b"no manifest")
    return plan


def test_the_pages_of_a_stage_hold_five_hundred_shards_each_and_say_what_the_others_lack(plan: RunPlan) -> None:
    with TestClient(site_app(Site(plan.root)), "http://127.0.0.1") as client:
        run = client.get("/runs/large/index.html")
        first, last = (client.get(f"/runs/large/images/{name}.html") for name in ("index", "page-20"))
        assert client.get("/runs/large/images/page-21.html").status_code == 404
    assert "10,000 shards, on 20 pages" in run.text and len(run.content) < 30_000
    assert first.text.count('class="cell missing') == 500 and "images-000003 is damaged" not in first.text
    assert "images-000003</a> is damaged" in first.text and "499 of 0 to 499" in first.text
    assert 'href="../../../runs/large/images/page-20.html"' in first.text and "500 of 500 to 999" not in first.text
    assert "images-009999" in last.text and len(first.content) < 300_000
