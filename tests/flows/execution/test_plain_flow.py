"""A failed run's state begins with what is wrong and the way out, in 70 characters; who called it gets the error itself."""

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort

from data_specs.errors import ShardError, SpecError
from flows.execution.plain_flow import plain_flow


@plain_flow("captions", "captions of a run")
def stage(error: Exception) -> None:
    raise error


@plain_flow("synclr", lambda: "a run")
def run(error: Exception) -> None:
    stage(error)


DAMAGED = ShardError("captions-000002.tar is damaged: sha256 0, in /data/captions/1", "captions-000002").of_run(
    "a", "/data"
)


@pytest.mark.slow(30)
@pytest.mark.parametrize(
    ("error", "begins", "ended"),
    [
        (DAMAGED, "synclr repair a: captions-000002.tar is damaged", StateType.FAILED),
        (SpecError("images.model 'x' is no model"), "images.model 'x' is no model", StateType.FAILED),
        (
            OSError(28, "No space left on device", "/data/images-000001.tar"),
            "No space left on device: /data/images-000001.tar",
            StateType.FAILED,
        ),
        (
            ZeroDivisionError("one by none"),
            "Flow run encountered an exception: ZeroDivisionError: one by none",
            StateType.FAILED,
        ),
        # It is put back; the server may be there again.
        (httpx.ConnectError("refused"), "Prefect's server does not answer as it should: refused", StateType.CRASHED),
    ],
)
def test_the_state_message_of_a_run_and_of_its_stage_is_the_line_itself(on_the_server, error, begins, ended):
    state = run(error, return_state=True)
    with pytest.raises(type(error)) as raised:
        run(error)
    assert str(raised.value) == str(error)
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=4)
        messages = [each.state.message for each in found if each.state]
    assert state.type == ended and len(messages) == 4
    assert all(message.startswith(begins) for message in messages)
    assert len("synclr repair a: captions-000002.tar is damaged") < 70
