"""What an ordinary Prefect server shows of runs: edges from stage to stage, artifacts on their nodes, assets, and failures."""

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

from data_specs.stage import STAGES
from flows.runs.plan import read_plan
from support.command_line import CommandLine
from support.made_up_run import make_run
from support.open_lineage_specification import faults
from support.shard_files import file_of
from tasks.shards import missing

pytestmark = pytest.mark.slow(40)
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
class SecondRun:
    server: Server
    synclr: CommandLine
    recipe: Path
    flow_run: dict[str, Any]

    def stage(self, name: str) -> dict[str, Any]:
        """The flow run of one of its stages: tests that came before may have run the stage again."""
        inside = {"parent_flow_run_id": {"any_": [self.flow_run["id"]]}}
        [found] = self.server.ask("/flow_runs/filter", {"flows": {"name": {"any_": [name]}}, "flow_runs": inside})
        return dict(found)

    def artifact(self, stage: str, what: str) -> dict[str, Any]:
        flow_run = self.stage(stage)["id"]
        [found] = [each for each in self.server.artifacts(f"second-{stage}-{what}") if each["flow_run_id"] == flow_run]
        return found


@pytest.fixture(scope="module")
def second(tmp_path_factory, prefect_server) -> Iterator[SecondRun]:
    """All was made by run `first` without a server but one image shard; run `second` makes that on a server."""
    home, root = tmp_path_factory.mktemp("prefect"), tmp_path_factory.mktemp("root")
    recipe = tmp_path_factory.mktemp("recipe") / "small.yaml"
    first = make_run(str(root), name="first")
    YAML(typ="safe", pure=True).dump(first.spec.model_dump(mode="json"), recipe)
    Path(first.stages["images"].shard(1).file("json")).unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(home))
        for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
            patch.delenv(name)
        patch.setenv("PREFECT_API_URL", f"{prefect_server}/api")
        server, synclr = Server(prefect_server), CommandLine(root, home)
        synclr("run", str(recipe), "--name", "second", "--json")
        yield SecondRun(server, synclr, recipe, server.newest("synclr"))


def seal_of(second: SecondRun, stage: str) -> dict[str, Any]:
    flow_run = second.stage(stage)["id"]
    [node] = [node for node in second.server.graph(flow_run) if node["label"].startswith(f"seal the {stage} stage")]
    return node


def test_edges_lead_from_stage_to_stage(second):
    nodes = {node["label"].split(" / ")[0]: node for node in second.server.settled_graph(second.flow_run["id"], 6)}
    assert list(nodes) == list(STAGES)
    for before, after in zip(STAGES, STAGES[1:], strict=False):
        assert {edge["id"] for edge in nodes[after]["parents"]} == {nodes[before]["id"]}
        assert nodes[after]["id"] in {edge["id"] for edge in nodes[before]["children"]}
    assert {node["state_type"] for node in nodes.values()} == {"COMPLETED"}


def test_what_worked_in_a_stage_leads_to_its_seal(second):
    images = second.stage("images")
    assert images["name"] == "images of second, 4 per caption"
    bundle, seal = sorted(second.server.settled_graph(images["id"], 2), key=lambda node: node["label"])
    assert bundle["label"] == "images 000001" and seal["label"].startswith("seal the images stage")
    assert {edge["id"] for edge in seal["parents"]} == {bundle["id"]}


def test_artifacts_hang_on_the_seals(second):
    more = {"captions": {"samples"}, "images": {"sheet"}, "scores": {"table"}}
    for stage in STAGES:
        shown = {artifact["key"] for artifact in seal_of(second, stage)["artifacts"]}
        assert shown == {f"second-{stage}-{what}" for what in {"lineage", "counts"} | more.get(stage, set())}
        progress = second.artifact(stage, "progress")
        assert progress["data"] == 100 and progress["flow_run_id"] == second.stage(stage)["id"]
        assert "shards sealed" in progress["description"] and f"{stage} of second: " in progress["description"]


def test_the_runs_page_shows_one_artifact_that_was_there_first_and_links_to_those_of_this_run(second):
    own = second.server.ask("/artifacts/filter", {"flow_runs": {"id": {"any_": [second.flow_run["id"]]}}})
    [summary] = [artifact for artifact in own if artifact["flow_run_id"] == second.flow_run["id"]]
    assert summary["key"] == "second-run-summary" and summary["description"] == "the whole run second: done"
    assert summary["created"] < second.stage("concepts")["end_time"] < summary["updated"]
    sheet = second.artifact("images", "sheet")
    assert f"[sheet](/artifacts/artifact/{sheet['id']})" in summary["data"] and "report.html" in summary["data"]
    lineage = second.artifact("images", "lineage")
    for there in (sheet["id"], summary["id"], second.artifact("captions", "lineage")["id"]):
        assert f"/artifacts/artifact/{there})" in lineage["data"]
    assert "/artifacts/key/" not in summary["data"] + lineage["data"]


def test_the_log_of_the_run_tells_its_story(second):
    wanted = {"logs": {"flow_run_id": {"any_": [second.flow_run["id"]]}}, "sort": "TIMESTAMP_ASC", "limit": 200}
    told = [line["message"] for line in second.server.ask("/logs/filter", wanted)]
    assert any(line.startswith("run second begins: concepts to scores, outputs under ") for line in told)
    begun = [line for line in told if re.match(r"\w+ begins: ", line)]
    assert [line.split()[0] for line in begun] == list(STAGES)
    assert "images begins: 1 of 4 shards to make" in begun
    [images] = [line for line in told if line.startswith("images sealed: ")]
    assert re.match(
        r"images sealed: 1 shard made in [\d.]+ s \([\d.,]+ images a second\), 3 reused \(3 of run first\), ", images
    )
    assert any(line.startswith("captions sealed: 4 reused (4 of run first), 48 accepted") for line in told)


def test_reused_and_remade_shards_stand_side_by_side_with_their_runs(second):
    page = second.artifact("images", "lineage")
    assert "1 made now, 3 reused" in page["data"] and "| first | 3 |" in page["data"]
    flow_run = second.stage("images")["id"]
    assert f"/runs/flow-run/{flow_run}" in page["data"] and "| second | 1, now |" in page["data"]
    assert "saw 4 of 4 shards" in page["data"], "the encoder, sealed after it, wrote itself in"
    made = json.loads(Path(second.synclr.root).glob("images/*/images-000001.made.json").__next__().read_text())
    assert (made["run"], made["flow_run"]) == ("second", flow_run)
    counts = second.artifact("images", "counts")
    assert {"what": "shards made now", "count": 1, "share": "25.0 %"} in json.loads(counts["data"])


def test_the_sheet_needs_no_server_of_ours(second):
    sheet = second.artifact("images", "sheet")
    assert "](data:image/webp;base64," in sheet["data"] and len(sheet["data"]) < 150_000


def test_assets_name_what_they_were_made_from(second):
    plan = read_plan(str(second.synclr.root), "second")
    keys = {name: f"synclr://{name}/{plan.stages[name].lineage}" for name in STAGES}
    until = time.monotonic() + SETTLED_SECONDS
    while time.monotonic() < until:
        # Those of this run: others on the server have made shards of the same lineage, under roots of their own.
        during = {"since": second.flow_run["start_time"], "until": second.flow_run["end_time"]}
        wanted = {
            "filter": {"event": {"prefix": ["prefect.asset.materialization"]}, "occurred": during},
            "limit": 50,
        }
        events = {
            event["resource"]["prefect.resource.id"]: event
            for event in second.server.ask("/events/filter", wanted)["events"]
        }
        if set(keys.values()) <= set(events):
            break
        time.sleep(0.5)
    for before, after in zip(STAGES, STAGES[1:], strict=False):
        related = {each["prefect.resource.id"] for each in events[keys[after]]["related"]}
        assert keys[before] in related, after
    assert events[keys["images"]]["payload"]["made"] == 1


def test_open_lineage_names_the_run_as_the_parent_of_every_stage(second):
    text = (second.synclr.root / "runs" / "second" / "openlineage.jsonl").read_text()
    events = [json.loads(line) for line in text.splitlines()][:12]
    assert [fault for event in events for fault in faults(event)] == []
    assert {event["run"]["facets"]["parent"]["run"]["runId"] for event in events} == {second.flow_run["id"]}
    assert [event["eventType"] for event in events] == ["START", "COMPLETE"] * 6


def test_a_stage_run_that_reuses_everything_shows_the_same_lineage_under_the_same_keys(second):
    """As a deployment runs it; the command line starts no flow run where nothing is to be made."""
    run_request = (
        f"from flows.synclr import synclr; synclr({str(second.recipe)!r}, 'second', since='images', until='encoder')"
    )
    subprocess.run([sys.executable, "-c", run_request], env=second.synclr.environment, check=True, capture_output=True)
    second.server.settled_graph(second.server.newest("images")["id"], 1)
    pages = second.server.artifacts("second-images-lineage")
    assert len(pages) == 2 and "0 made now, 4 reused" in pages[0]["data"]
    assert re.search(r"\| first \| 3 \|", pages[0]["data"]) and re.search(r"\| second \| 1 \|", pages[0]["data"])
    assert f"/runs/flow-run/{pages[1]['flow_run_id']}" in pages[0]["data"], "the page of the flow run that made it"
    first, later = (json.dumps(page["data"]) for page in reversed(pages))
    newest, before = (sheet["id"] for sheet in second.server.artifacts("second-images-sheet"))
    assert before in first and newest in later and before not in later, "each page leads to what its own run shows"
    assert len(second.server.artifacts("second-images-sheet")) == 2
    text = (second.synclr.root / "runs" / "second" / "openlineage.jsonl").read_text()
    events = [json.loads(line) for line in text.splitlines()][12:]
    assert [(event["eventType"], event["job"]["name"]) for event in events] == [
        (state, f"second.{stage}") for stage in ("images", "encoder") for state in ("START", "COMPLETE")
    ]
    assert events[1]["run"]["facets"]["synclr_stage"]["reused"] == 4
    assert not [fault for event in events for fault in faults(event)]


def test_a_failed_shard_fails_the_run_and_leaves_its_neighbours_sealed(second):
    captions = read_plan(str(second.synclr.root), "second").stages["captions"].shard(2)
    tar = file_of(captions, "tar")
    sound = tar.read_bytes()
    tar.write_bytes(sound[:-600] + b"x" + sound[-599:])
    try:
        output = second.synclr(
            "run", str(second.recipe), "--name", "fourth", "--set", "images.guidance_scale=5", code=1
        )
    finally:
        tar.write_bytes(sound)
    assert [line for line in output.splitlines() if "is damaged" in line] == output.splitlines()[-1:]
    for flow in ("images", "synclr"):
        ended = second.server.newest(flow)
        # The bundle's own words: were its future dropped, the seal would find the shard missing and say that instead.
        said = ended["state"]["message"]
        assert ended["state_type"] == "FAILED" and said.startswith("synclr repair fourth: captions-000002."), flow
        assert "tar is damaged" in said, flow
    images = second.server.newest("images")["id"]
    states = [node["state_type"] for node in second.server.settled_graph(images, 4)]
    assert sorted(states) == ["COMPLETED"] * 3 + ["FAILED"], "four bundles, and no seal"
    assert missing(read_plan(str(second.synclr.root), "fourth").stages["images"]) == [2]
    last = json.loads((second.synclr.root / "runs" / "fourth" / "openlineage.jsonl").read_text().splitlines()[-1])
    assert last["eventType"] == "FAIL" and last["job"]["name"] == "fourth.images" and faults(last) == []
    assert second.server.artifacts("fourth-images-progress")[0]["data"] == 75
