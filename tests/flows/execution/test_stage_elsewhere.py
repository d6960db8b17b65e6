"""A stage on another worker has ended when it has ended for good: a crash is no such end, for as long as it may be put back."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled, Completed, Crashed, Failed, Running

from flows.execution import stage_elsewhere
from flows.execution.stage_elsewhere import PUT_BACK, wait_for_end
from flows.server import outage


@pytest.fixture
def server(monkeypatch):
    """Answers with one state after another; an error is raised."""
    monkeypatch.setattr(stage_elsewhere, "POLL_SECONDS", 0)
    monkeypatch.setattr(outage, "PAUSE_SECONDS", 0)

    def answers(*states):
        left = list(states)

        def read(run_id):
            state = left.pop(0)
            if isinstance(state, Exception):
                raise state
            return FlowRun(id=run_id, flow_id=uuid4(), state=state)

        monkeypatch.setattr(stage_elsewhere, "_read", read)
        return left

    return answers


@pytest.mark.parametrize("end", [Completed(), Failed(), Cancelled()])
def test_it_is_waited_for_through_crashes_and_an_outage(server, end):
    left = server(Running(), Crashed(), httpx.ConnectError("refused"), Running(), end)
    assert wait_for_end(uuid4()).state == end and not left


def test_a_crash_that_nobody_puts_back_is_the_end(server):
    old = Crashed().model_copy(update={"timestamp": datetime.now(UTC) - PUT_BACK - timedelta(seconds=1)})
    server(Crashed(), old)
    assert wait_for_end(uuid4()).state == old


def test_an_outage_that_does_not_end_is_raised(monkeypatch):
    def refuse():
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(outage, "PAUSE_SECONDS", 0)
    with pytest.raises(httpx.ConnectError):
        outage.outlast(refuse, seconds=0.05)
