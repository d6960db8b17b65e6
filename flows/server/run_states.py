"""Show on the server that a stage's flow run waits for an engine slot: a state of its own, which is no work."""

import logging
from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.states import Running

AWAITING_ENGINE_SLOT = "AwaitingEngineSlot"
logger = logging.getLogger("synclr")


def show_waiting(flow_run: str, text: str) -> None:
    """Name the state after what is waited for; running again where `text` is empty. Of the type RUNNING, since a process
    works on the run, and whoever looks after runs is to find it among those.
    """
    state: State[Any] = (
        Running(name=AWAITING_ENGINE_SLOT, message=text) if text else Running(message="it has an engine slot")
    )
    try:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(flow_run, state, force=True)  # not forced, it would be called Rerunning
    except (httpx.HTTPError, ObjectNotFound) as error:
        logger.warning("its state could not be shown: %r", error)
