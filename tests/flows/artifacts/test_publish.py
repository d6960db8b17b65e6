"""A server in trouble: a stage's artifacts and its progress are given up with one notice each, and nothing fails."""

import logging
import time

from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.artifacts.progress import ProgressArtifact
from flows.artifacts.publish import publish_stage
from flows.artifacts.redrawn import PATIENCE_SECONDS
from flows.artifacts.run_page import RunPage
from flows.runs.plan import sealed_stages
from support.made_up_run import make_run
from tasks.events import Started

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


def test_pages_that_nobody_hears_of_are_given_up_once_each(tmp_path, caplog):
    plan = make_run(str(tmp_path), until="captions")
    with temporary_settings(NOBODY), caplog.at_level(logging.WARNING, "synclr"):
        started = time.monotonic()
        with (
            RunPage(plan, FLOW_RUN) as page,
            ProgressArtifact(plan.name, plan.stages["captions"], 0, FLOW_RUN) as progress,
        ):
            for listener in (page, progress):
                listener(Started(plan.name, "captions", "captions", 40, 10))
        assert time.monotonic() - started < 2 * PATIENCE_SECONDS + 30
    messages = sorted(record.message for record in caplog.records if record.name == "synclr")
    assert len(messages) == 2 and messages[0].startswith("captions: no progress on the server any more")
    assert messages[1].startswith("the page of run made-up is not kept on the server any more")
