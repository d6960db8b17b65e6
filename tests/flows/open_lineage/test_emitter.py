"""What a visit tells OpenLineage: valid events in a file, or where the user wants them, and never a failed room."""

import json
import logging
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from data_specs.errors import EngineError
from data_specs.run import Run
from flows.open_lineage import Emitter
from flows.open_lineage.datasets import place
from flows.runs.folder import summarise
from flows.runs.resolve import rooms
from support.made_up_run import make_run
from support.open_lineage_specification import faults
from tasks.engines import StoppedError

ORDER = ("concepts", "captions", "images", "encoder", "embeddings", "scores")


@pytest.fixture(autouse=True)
def nothing_configured():
    """The client writes variables of its own beside the user's, which would outlive the test that sets one."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
        del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)


def tell(run: Run, name: str, error: BaseException | None = None) -> None:
    all_rooms = rooms(run.spec, run.root)
    before = all_rooms[ORDER[ORDER.index(name) - 1]] if name != ORDER[0] else None
    emitter = Emitter(run, all_rooms[name], before, None, ["spec.steps 6 -> 7"])
    emitter.started()
    if error:
        emitter.failed(error)
    else:
        emitter.completed(summarise(all_rooms[name], made=1))


def events(run: Run) -> list[dict[str, Any]]:
    text = (Path(run.root) / "runs" / run.name / "openlineage.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_every_room_begins_and_ends_with_valid_events_that_follow_the_data(tmp_path):
    run = make_run(str(tmp_path))
    for name in ORDER:
        tell(run, name)
    told = events(run)
    assert [fault for event in told for fault in faults(event)] == []
    assert [event["eventType"] for event in told] == ["START", "COMPLETE"] * 6
    assert [event["job"]["name"] for event in told[::2]] == [f"made-up.{name}" for name in ORDER]
    for start, complete in zip(told[::2], told[1::2], strict=True):
        assert start["run"]["runId"] == complete["run"]["runId"]
    for before, after in zip(told[1::2], told[3::2], strict=False):
        [made], [read] = before["outputs"], after["inputs"]
        assert (made["namespace"], made["name"], made["facets"]) == (read["namespace"], read["name"], read["facets"])


def test_an_event_holds_the_recipe_the_schema_and_what_was_written(tmp_path):
    run = make_run(str(tmp_path))
    tell(run, "images")
    complete = events(run)[1]
    room = rooms(run.spec, run.root)["images"]
    said = complete["run"]["facets"]["synclr_room"]
    assert said["recipe"]["spec"]["guidance_scale"] == 2.5 and said["stale"] == ["spec.steps 6 -> 7"]
    assert (said["shards"], said["made"], said["takenOver"]) == (4, 1, 3)
    [output] = complete["outputs"]
    assert output["name"] == room.folder and output["facets"]["version"]["datasetVersion"] == f"{room.lineage}-4"
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
def test_a_failed_room_says_why_and_a_stopped_one_that_it_was_stopped(tmp_path, error, state):
    run = make_run(str(tmp_path), until="concepts")
    tell(run, "captions", error)
    _, ended = events(run)
    assert faults(ended) == [] and ended["eventType"] == state
    assert ended["run"]["facets"]["errorMessage"]["message"] == (str(error) or "KeyboardInterrupt")


def test_a_list_of_names_is_an_input_of_the_concepts(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("dog\ncat\n")
    sources = [{"use": "file", "path": str(names)}]
    run = make_run(str(tmp_path / "root"), until="concepts", concepts={"sources": sources})
    tell(run, "concepts")
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
        tell(run, "concepts")
    finally:
        server.shutdown()
        server.server_close()
    assert [event["eventType"] for event in received] == ["START", "COMPLETE"]
    assert not (tmp_path / "runs" / "made-up" / "openlineage.jsonl").exists()


def test_a_receiver_that_fails_is_named_once_and_fails_nothing(tmp_path, caplog):
    run = make_run(str(tmp_path), until="concepts")
    (tmp_path / "runs" / "made-up" / "openlineage.jsonl").mkdir()
    with caplog.at_level(logging.WARNING, "synclr"):
        tell(run, "concepts")
    assert [record.message.partition(":")[0] for record in caplog.records] == ["concepts"]


def test_the_check_itself_finds_what_is_wrong(tmp_path):
    run = make_run(str(tmp_path), until="concepts")
    tell(run, "concepts")
    for spoil in (
        lambda event: event.pop("eventTime"),
        lambda event: event.update(eventType="DONE"),
        lambda event: event["run"].update(runId="seven"),
        lambda event: event["run"]["facets"]["synclr_room"].pop("_producer"),
        lambda event: event["outputs"][0]["facets"]["version"].pop("datasetVersion"),
        lambda event: event["outputs"][0]["outputFacets"]["outputStatistics"].update(rowCount="many"),
        lambda event: event["job"]["facets"]["jobType"].update(_schemaURL="https://nowhere/schema.json"),
        lambda event: event.update(more=1),
    ):
        event = events(run)[1]
        assert faults(event) == []
        spoil(event)
        assert faults(event), spoil
