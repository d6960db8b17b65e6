"""A server in trouble: a room's artifacts and its progress are given up with one word each, and nothing fails."""

import logging
import time

from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.artifacts.progress import PATIENCE_SECONDS, ProgressArtifact
from flows.artifacts.publish import publish_room
from flows.artifacts.run_page import publish_run
from flows.execution.stage_run import Visit
from flows.runs.folder import summarise
from flows.runs.resolve import rooms
from support.made_up_run import make_run
from tasks.events import Advanced, Finished, Started, listening, tell

NOBODY = {PREFECT_API_URL: "http://127.0.0.1:9/api"}
FLOW_RUN = "0199a0de-0000-7000-8000-000000000000"


def test_without_a_server_that_answers_a_room_is_sealed_all_the_same(tmp_path, caplog):
    run = make_run(str(tmp_path), until="captions")
    room = rooms(run.spec, run.root)["captions"]
    with temporary_settings(NOBODY), caplog.at_level(logging.WARNING, "synclr"):
        publish_room(Visit(run, room), summarise(room, made=0))
        publish_run(run, "report.html")
    said = [record.message for record in caplog.records if record.name == "synclr"]
    assert [line.partition(" could not be written")[0] for line in said] == [
        "captions: its artifacts",
        "the page of run made-up",
    ]


def test_progress_that_nobody_hears_is_given_up_once(caplog):
    with temporary_settings(NOBODY), caplog.at_level(logging.WARNING, "synclr"):
        started = time.monotonic()
        with ProgressArtifact("tiny", "captions", FLOW_RUN) as progress, listening(progress):
            tell(Started("images", "images", 9, 0))
            tell(Started("captions", "captions", 40, 10))
            tell(Advanced("captions", 10))
            assert progress.percent == 50
            tell(Advanced("images", 9))
            tell(Finished("captions", 1.0))
            assert progress.percent == 100
        assert time.monotonic() - started < PATIENCE_SECONDS + 30
    said = [record.message for record in caplog.records if record.name == "synclr"]
    assert len(said) == 1 and said[0].startswith("captions: no progress on the server any more")
