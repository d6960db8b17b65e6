"""What an ordinary Prefect server shows of walks: edges from room to room, artifacts on their nodes, assets, and failures."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from data_specs.run import ROOMS
from flows.runs.folder import read_recipe
from flows.runs.resolve import rooms
from flows.server.prefect_server import running
from support.command_line import CommandLine
from support.made_up_run import SPEC, make_run
from support.open_lineage_specification import faults
from tasks.shards import missing

pytestmark = pytest.mark.slow
SETTLED_SECONDS = 60


@dataclass
class Server:
    address: str

    def ask(self, path: str, wanted: dict[str, Any] | None = None) -> Any:
        data = None if wanted is None else json.dumps(wanted).encode()
        request = urllib.request.Request(
            f"{self.address}/api{path}", data=data, headers={"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def newest(self, flow: str) -> dict[str, Any]:
        found = self.ask("/flow_runs/filter", {"flows": {"name": {"any_": [flow]}}, "sort": "START_TIME_DESC"})
        return dict(found[0])

    def graph(self, flow_run: str) -> list[dict[str, Any]]:
        return [node for _, node in self.ask(f"/flow_runs/{flow_run}/graph-v2")["nodes"]]

    def settled_graph(self, flow_run: str, nodes: int) -> list[dict[str, Any]]:
        """Task runs are written down a little after they end."""
        until = time.monotonic() + SETTLED_SECONDS
        while time.monotonic() < until:
            found = self.graph(flow_run)
            if len(found) == nodes and all(node["state_type"] in ("COMPLETED", "FAILED") for node in found):
                return found
            time.sleep(0.5)
        raise AssertionError(
            f"{len(found)} of {nodes} nodes: {[(node['label'], node['state_type']) for node in found]}"
        )

    def artifacts(self, key: str) -> list[dict[str, Any]]:
        """The newest first."""
        wanted = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC"}
        return list(self.ask("/artifacts/filter", wanted))


@dataclass
class Walked:
    server: Server
    synclr: CommandLine
    recipe: Path
    flow_run: dict[str, Any]


@pytest.fixture(scope="module")
def walked(tmp_path_factory) -> Iterator[Walked]:
    """All was made by run `first` without a server but one image shard; run `second` walks it on a server."""
    home, root = tmp_path_factory.mktemp("prefect"), tmp_path_factory.mktemp("root")
    recipe = tmp_path_factory.mktemp("recipe") / "small.yaml"
    YAML(typ="safe", pure=True).dump(SPEC, recipe)
    first = make_run(str(root), name="first")
    Path(rooms(first.spec, first.root)["images"].shards[1].file("json")).unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(home))
        for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
            patch.delenv(name)
        with running(log=home / "server.log") as address:
            patch.setenv("PREFECT_API_URL", f"{address}/api")
            server, synclr = Server(address), CommandLine(root, home)
            synclr("run", str(recipe), "--name", "second", "--json")
            yield Walked(server, synclr, recipe, server.newest("synclr"))


def seal_of(walked: Walked, room: str) -> dict[str, Any]:
    flow_run = walked.server.newest(room)["id"]
    [node] = [node for node in walked.server.graph(flow_run) if node["label"].startswith(f"seal the {room} room")]
    return node


def test_edges_lead_from_room_to_room(walked):
    nodes = {node["label"].split(" / ")[0]: node for node in walked.server.settled_graph(walked.flow_run["id"], 6)}
    assert list(nodes) == list(ROOMS)
    for before, after in zip(ROOMS, ROOMS[1:], strict=False):
        assert {edge["id"] for edge in nodes[after]["parents"]} == {nodes[before]["id"]}
        assert nodes[after]["id"] in {edge["id"] for edge in nodes[before]["children"]}
    assert {node["state_type"] for node in nodes.values()} == {"COMPLETED"}


def test_what_worked_in_a_room_leads_to_its_seal(walked):
    images = walked.server.newest("images")
    assert images["name"] == "images of second, 4 per caption"
    bundle, seal = sorted(walked.server.settled_graph(images["id"], 2), key=lambda node: node["label"])
    assert bundle["label"].startswith("render a bundle") and seal["label"].startswith("seal the images room")
    assert {edge["id"] for edge in seal["parents"]} == {bundle["id"]}


def test_artifacts_hang_on_the_seals(walked):
    more = {"captions": {"samples"}, "images": {"sheet"}, "scores": {"table"}}
    for room in ROOMS:
        shown = {artifact["key"] for artifact in seal_of(walked, room)["artifacts"]}
        assert shown == {f"second-{room}-{what}" for what in {"lineage", "counts"} | more.get(room, set())}
        [progress] = walked.server.artifacts(f"second-{room}-progress")
        assert progress["data"] == 100 and progress["flow_run_id"] == walked.server.newest(room)["id"]
    [summary] = walked.server.artifacts("second-run-summary")
    assert summary["flow_run_id"] == walked.flow_run["id"] and "second-images-sheet" in summary["data"]


def test_taken_over_and_made_anew_stand_side_by_side_with_their_runs(walked):
    [page] = walked.server.artifacts("second-images-lineage")
    assert "1 made now, 3 taken over" in page["data"] and "| first | 3 |" in page["data"]
    flow_run = walked.server.newest("images")["id"]
    assert f"/runs/flow-run/{flow_run}" in page["data"] and "| second | 1, now |" in page["data"]
    assert "saw 4 of 4 shards" in page["data"], "the encoder, sealed after it, wrote itself in"
    made = json.loads(Path(walked.synclr.root).glob("images/*/images-000001.made.json").__next__().read_text())
    assert (made["run"], made["flow_run"]) == ("second", flow_run)
    [counts] = walked.server.artifacts("second-images-counts")
    assert {"what": "shards made now", "count": 1, "share": "25.0 %"} in json.loads(counts["data"])


def test_the_sheet_needs_no_server_of_ours(walked):
    [sheet] = walked.server.artifacts("second-images-sheet")
    assert "](data:image/webp;base64," in sheet["data"] and len(sheet["data"]) < 150_000


def test_assets_are_told_with_what_they_were_made_from(walked):
    run, _ = read_recipe(str(walked.synclr.root), "second")
    keys = {
        name: f"synclr://{name}/{room.lineage}" for name, room in rooms(run.spec, run.root).items() if name in ROOMS
    }
    until = time.monotonic() + SETTLED_SECONDS
    while time.monotonic() < until:
        wanted = {"filter": {"event": {"prefix": ["prefect.asset.materialization"]}}, "limit": 50}
        told = {
            event["resource"]["prefect.resource.id"]: event
            for event in walked.server.ask("/events/filter", wanted)["events"]
        }
        if set(keys.values()) <= set(told):
            break
        time.sleep(0.5)
    for before, after in zip(ROOMS, ROOMS[1:], strict=False):
        related = {each["prefect.resource.id"] for each in told[keys[after]]["related"]}
        assert keys[before] in related, after
    assert told[keys["images"]]["payload"]["made"] == 1


def test_open_lineage_names_the_walk_as_the_parent_of_every_room(walked):
    text = (walked.synclr.root / "runs" / "second" / "openlineage.jsonl").read_text()
    events = [json.loads(line) for line in text.splitlines()][:12]
    assert [fault for event in events for fault in faults(event)] == []
    assert {event["run"]["facets"]["parent"]["run"]["runId"] for event in events} == {walked.flow_run["id"]}
    assert [event["eventType"] for event in events] == ["START", "COMPLETE"] * 6


def test_a_visit_that_takes_everything_over_shows_the_same_lineage_under_the_same_keys(walked):
    """As a deployment walks it; the command line starts no flow run where nothing is to be made."""
    walk = f"from flows.synclr import synclr; synclr({str(walked.recipe)!r}, 'second', since='images', until='encoder')"
    subprocess.run([sys.executable, "-c", walk], env=walked.synclr.environment, check=True, capture_output=True)
    walked.server.settled_graph(walked.server.newest("images")["id"], 1)
    pages = walked.server.artifacts("second-images-lineage")
    assert len(pages) == 2 and "0 made now, 4 taken over" in pages[0]["data"]
    assert re.search(r"\| first \| 3 \|", pages[0]["data"]) and re.search(r"\| second \| 1 \|", pages[0]["data"])
    assert f"/runs/flow-run/{pages[1]['flow_run_id']}" in pages[0]["data"], "the page of the flow run that made it"
    assert len(walked.server.artifacts("second-images-sheet")) == 2
    text = (walked.synclr.root / "runs" / "second" / "openlineage.jsonl").read_text()
    told = [json.loads(line) for line in text.splitlines()][12:]
    assert [(event["eventType"], event["job"]["name"]) for event in told] == [
        (state, f"second.{room}") for room in ("images", "encoder") for state in ("START", "COMPLETE")
    ]
    assert told[1]["run"]["facets"]["synclr_room"]["takenOver"] == 4 and not [
        fault for event in told for fault in faults(event)
    ]


def test_a_failed_shard_fails_the_walk_and_leaves_its_neighbours_sealed(walked):
    run, _ = read_recipe(str(walked.synclr.root), "second")
    captions = rooms(run.spec, run.root)["captions"].shards[2]
    tar = Path(captions.file("tar"))
    sound = tar.read_bytes()
    tar.write_bytes(sound[:-600] + b"x" + sound[-599:])
    try:
        said = walked.synclr("run", str(walked.recipe), "--name", "fourth", "--set", "images.guidance_scale=5", code=1)
    finally:
        tar.write_bytes(sound)
    assert [line for line in said.splitlines() if "is damaged" in line] == said.splitlines()[-1:]
    for flow in ("images", "synclr"):
        ended = walked.server.newest(flow)
        # The bundle's own words: were its future dropped, the seal would find the shard missing and say that instead.
        assert ended["state_type"] == "FAILED" and "captions-000002.tar is damaged" in ended["state"]["message"], flow
    images = walked.server.newest("images")["id"]
    states = [node["state_type"] for node in walked.server.settled_graph(images, 4)]
    assert sorted(states) == ["COMPLETED"] * 3 + ["FAILED"], "four bundles, and no seal"
    run, _ = read_recipe(str(walked.synclr.root), "fourth")
    assert [address.index for address in missing(rooms(run.spec, run.root)["images"].shards)] == [2]
    last = json.loads((walked.synclr.root / "runs" / "fourth" / "openlineage.jsonl").read_text().splitlines()[-1])
    assert last["eventType"] == "FAIL" and last["job"]["name"] == "fourth.images" and faults(last) == []
    assert walked.server.artifacts("fourth-images-progress")[0]["data"] == 75
