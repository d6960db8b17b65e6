"""A link into Prefect's pages leads to a run that this server knows, and says so where it cannot."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from uuid import UUID

import pytest
from starlette.testclient import TestClient

from flows.runs.plan import RunPlan
from flows.site.app import site_app
from flows.site.flow_runs import links_to
from flows.site.site import Site
from support.made_up_run import make_run

KNOWN, UNKNOWN = str(UUID(int=1)), str(UUID(int=2))


class Server(BaseHTTPRequestHandler):
    """Knows one flow run, by the filter of Prefect's API."""

    status = 200

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = [{"id": each} for each in asked["flow_runs"]["id"]["any_"] if each == KNOWN]
        self.send_response(self.status if self.path == "/api/flow_runs/filter" else 404)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Server) as here:
        threading.Thread(target=here.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{here.server_port}"
        here.shutdown()


@pytest.fixture
def run(tmp_path: Path) -> RunPlan:
    return make_run(str(tmp_path), until="captions")


def test_only_a_run_that_the_server_knows_is_linked_to(server: str) -> None:
    assert links_to(Site("", server), [KNOWN, UNKNOWN, "", "no id"]) == {
        KNOWN: f"{server}/runs/flow-run/{KNOWN}",
        UNKNOWN: "",
    }


def test_a_server_that_cannot_be_asked_loses_no_link(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = "http://127.0.0.1:9"
    assert links_to(Site("", nobody), [UNKNOWN]) == {UNKNOWN: f"{nobody}/runs/flow-run/{UNKNOWN}"}
    monkeypatch.setattr(Server, "status", 401)
    assert links_to(Site("", server), [UNKNOWN])[UNKNOWN].endswith(UNKNOWN)
    assert links_to(Site(""), [KNOWN]) == {}


@pytest.mark.parametrize(("flow_run", "says"), [(KNOWN, "in Prefect</a>"), (UNKNOWN, "made under another server")])
def test_a_run_s_page_says_whose_its_stages_are(server: str, run: RunPlan, flow_run: str, says: str) -> None:
    shard = run.stages["captions"].shard(0)
    note = json.loads(Path(shard.file("made.json")).read_text())
    Path(shard.file("made.json")).write_text(json.dumps(note | {"flow_run": flow_run}))
    with TestClient(site_app(Site(run.root, server)), "http://127.0.0.1") as client:
        page = client.get(f"/runs/{run.name}/index.html").text
    assert says in page
    assert (f'href="{server}/runs/flow-run/{flow_run}"' in page) == (flow_run == KNOWN)
