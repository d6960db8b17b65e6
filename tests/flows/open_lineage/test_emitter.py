"""What a stage run emits to OpenLineage: valid events in a file, or where the user wants them, and never a failed stage."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from data_specs.errors import EngineError, StoppedError
from data_specs.stage import STAGES
from flows.execution.stage_run import sum_up
from flows.open_lineage import Emitter
from flows.open_lineage.datasets import place
from flows.runs.plan import RunPlan
from support.made_up_run import make_run
from support.open_lineage_specification import faults
from tasks.events import Event, Notice


@pytest.fixture(autouse=True)
def nothing_configured():
    """The client writes variables of its own beside the user's, which would outlive the test that sets one."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
        del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)


def emit(plan: RunPlan, name: str, error: BaseException | None = None) -> list[Event]:
    """The events of one stage run; returns the notices that it gave."""
    stage, notices = plan.stages[name], list[Event]()
    before = plan.stages[STAGES[STAGES.index(name) - 1]] if name != STAGES[0] else None
    emitter = Emitter(plan, stage, before, None, ["spec.steps 6 -> 7"], notices.append)
    emitter.started()
    if error:
        emitter.failed(error)
    else:
        emitter.completed(sum_up(stage, made=1))
    return notices


def events(plan: RunPlan) -> list[dict[str, Any]]:
    text = (Path(plan.root) / "runs" / plan.name / "openlineage.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_every_stage_begins_and_ends_with_valid_events_that_follow_the_data(tmp_path):
    run = make_run(str(tmp_path))
    for name in STAGES:
        emit(run, name)
    found = events(run)
    assert [fault for event in found for fault in faults(event)] == []
    assert [event["eventType"] for event in found] == ["START", "COMPLETE"] * 6
    assert [event["job"]["name"] for event in found[::2]] == [f"made-up.{name}" for name in STAGES]
    for start, complete in zip(found[::2], found[1::2], strict=True):
        assert start["run"]["runId"] == complete["run"]["runId"]
    for before, after in zip(found[1::2], found[3::2], strict=False):
        [made], [read] = before["outputs"], after["inputs"]
        assert (made["namespace"], made["name"], made["facets"]) == (read["namespace"], read["name"], read["facets"])


def test_an_event_holds_the_recipe_the_schema_and_what_was_written(tmp_path):
    run = make_run(str(tmp_path))
    emit(run, "images")
    complete = events(run)[1]
    stage = run.stages["images"]
    facet = complete["run"]["facets"]["synclr_stage"]
    assert facet["recipe"]["spec"]["guidance_scale"] == 2.5 and facet["stale"] == ["spec.steps 6 -> 7"]
    assert (facet["shards"], facet["made"], facet["reused"]) == (4, 1, 3)
    [output] = complete["outputs"]
    assert output["name"] == stage.folder and output["facets"]["version"]["datasetVersion"] == f"{stage.lineage}-4"
    fields = {field["name"]: field for field in output["facets"]["schema"]["fields"]}
    assert fields["text"]["type"] == "string" and [each["name"] for each in fields["rendering"]["fields"]][:2] == [
        "model",
        "scheduler",
    ]
    statistics = output["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["fileCount"]) == (48, 4) and statistics["size"] > 10_000


@pytest.mark.parametrize(
    ("error", "state"),
    [(EngineError("no memory"), "FAIL"), (StoppedError("stopping"), "ABORT"), (KeyboardInterrupt(), "ABORT")],
)
def test_a_failed_stage_says_why_and_a_stopped_one_that_it_was_stopped(tmp_path, error, state):
    run = make_run(str(tmp_path), until="concepts")
    emit(run, "captions", error)
    _, ended = events(run)
    assert faults(ended) == [] and ended["eventType"] == state
    assert ended["run"]["facets"]["errorMessage"]["message"] == (str(error) or "KeyboardInterrupt")


def test_a_stage_that_waits_says_for_what_until_it_goes_on(tmp_path):
    run = make_run(str(tmp_path), until="concepts")
    emitter = Emitter(run, run.stages["captions"], run.stages["concepts"], None, [], pytest.fail)
    emitter.started()
    for text in ("waits for the engine slot that run other holds", ""):
        emitter.waits(text)
    emitter.failed(EngineError("no memory"))
    found = events(run)
    assert [fault for event in found for fault in faults(event)] == []
    assert [(event["eventType"], event["run"]["facets"]["synclr_stage"]["waitsFor"]) for event in found] == [
        ("START", ""),
        ("RUNNING", "waits for the engine slot that run other holds"),
        ("RUNNING", ""),
        ("FAIL", ""),
    ]
    assert len({event["run"]["runId"] for event in found}) == 1


def test_a_list_of_names_is_an_input_of_the_concepts(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("dog\ncat\n")
    sources = [{"use": "file", "path": str(names)}]
    run = make_run(str(tmp_path / "root"), until="concepts", concepts={"sources": sources})
    emit(run, "concepts")
    assert [(each["namespace"], each["name"]) for each in events(run)[0]["inputs"]] == [("file", str(names))]


def test_datasets_are_named_as_the_specification_names_them():
    assert place("s3://bucket/some/images/abc") == ("s3://bucket", "some/images/abc")
    assert place("/data/images/abc") == place("file:///data/images/abc") == ("file", "/data/images/abc")


def test_where_the_user_has_a_receiver_events_go_there(tmp_path):
    received: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        os.environ["OPENLINEAGE_URL"] = f"http://127.0.0.1:{server.server_port}"
        run = make_run(str(tmp_path), until="concepts")
        emit(run, "concepts")
    finally:
        server.shutdown()
        server.server_close()
    assert [event["eventType"] for event in received] == ["START", "COMPLETE"]
    assert not (tmp_path / "runs" / "made-up" / "openlineage.jsonl").exists()


def test_a_receiver_that_fails_is_named_once_and_fails_nothing(tmp_path):
    run = make_run(str(tmp_path), until="concepts")
    (tmp_path / "runs" / "made-up" / "openlineage.jsonl").mkdir()
    [notice] = emit(run, "concepts")
    assert isinstance(notice, Notice) and (notice.run, notice.stage) == ("made-up", "concepts")
    assert notice.text.startswith("concepts: its OpenLineage events do not arrive: ")


def test_the_check_itself_finds_what_is_wrong(tmp_path):
    run = make_run(str(tmp_path), until="concepts")
    emit(run, "concepts")
    for spoil in (
        lambda event: event.pop("eventTime"),
        lambda event: event.update(eventType="DONE"),
        lambda event: event["run"].update(runId="seven"),
        lambda event: event["run"]["facets"]["synclr_stage"].pop("_producer"),
        lambda event: event["outputs"][0]["facets"]["version"].pop("datasetVersion"),
        lambda event: event["outputs"][0]["outputFacets"]["outputStatistics"].update(rowCount="many"),
        lambda event: event["job"]["facets"]["jobType"].update(_schemaURL="https://nowhere/schema.json"),
        lambda event: event.update(more=1),
    ):
        event = events(run)[1]
        assert faults(event) == []
        spoil(event)
        assert faults(event), spoil
