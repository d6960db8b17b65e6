"""A server in trouble: a stage's artifacts and its progress are given up with one notice each, and nothing fails."""

import logging
import time

from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.artifacts.progress import PATIENCE_SECONDS, ProgressArtifact
from flows.artifacts.publish import publish_stage
from flows.artifacts.run_page import publish_run
from flows.runs.plan import sealed_stages
from support.made_up_run import make_run
from tasks.events import Advanced, Event, Finished, Notice, Started

NOBODY = {PREFECT_API_URL: "http://127.0.0.1:9/api"}
FLOW_RUN = "0199a0de-0000-7000-8000-000000000000"


def test_without_a_server_that_answers_a_stage_is_sealed_all_the_same(tmp_path):
    plan, notices = make_run(str(tmp_path), until="captions"), list[str]()
    with temporary_settings(NOBODY):
        publish_stage(
            plan, sealed_stages(plan)["captions"], plan.stages["concepts"], [], flow_run=None, notice=notices.append
        )
    [text] = notices
    assert text.startswith("captions: its artifacts could not be written: ")


def test_a_page_of_the_run_that_cannot_be_written_is_told_to_listeners_and_the_log(tmp_path, caplog):
    events: list[Event] = []
    plan = make_run(str(tmp_path), until="captions").model_copy(update={"listeners": (events.append,)})
    with temporary_settings(NOBODY), caplog.at_level(logging.WARNING, "synclr"):
        publish_run(plan, "report.html")
    [text] = [record.message for record in caplog.records if record.name == "synclr"]
    assert text.startswith("the page of run made-up could not be written: ")
    assert events == [Notice("made-up", "", text)]


def test_progress_that_nobody_hears_is_given_up_once(caplog):
    with temporary_settings(NOBODY), caplog.at_level(logging.WARNING, "synclr"):
        started = time.monotonic()
        with ProgressArtifact("tiny", "captions", FLOW_RUN) as progress:
            progress(Started("tiny", "images", "images", 9, 0))
            progress(Started("tiny", "captions", "captions", 40, 10))
            progress(Advanced("tiny", "captions", 10))
            assert progress.percent == 50
            progress(Advanced("tiny", "images", 9))
            progress(Finished("tiny", "captions", 1.0))
            assert progress.percent == 100
        assert time.monotonic() - started < PATIENCE_SECONDS + 30
    messages = [record.message for record in caplog.records if record.name == "synclr"]
    assert len(messages) == 1 and messages[0].startswith("captions: no progress on the server any more")
