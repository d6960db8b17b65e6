"""Mark runs whose process is gone, so that none is shown running for ever.

Prefect marks a flow run whose process died under a living worker; it never marks the task runs and stage runs inside, nor a
run whose machine died with its worker. A run says which process it is; whoever looks later, on the same host, sees it gone.
Runs on other hosts are noticed by their missing heartbeat (`flows/server/deployments.py`).
"""

import logging
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.runtime import flow_run
from prefect.states import Crashed

from data_specs.errors import CrashLoopError

logger = logging.getLogger("synclr")
PROCESS = "synclr.process"
TRY = "synclr.try"
"""A run that is tried again is RUNNING before its new process can say so: a label is true of the try that wrote it."""
MOST_CRASHES = 3
PAGE = 200
GOING_ON = "its process vanished; going on with what is sealed"
"""The message of the state into which a crashed run is put by the automation of `flows/server/deployments.py`."""
OPEN = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
CUT_SHORT = [StateType.CRASHED, StateType.CANCELLED]
ENDED_BY_ITSELF = [StateType.COMPLETED, StateType.FAILED]
SETTLED = timedelta(minutes=1)
"""After a flow's end: Prefect writes the last states of its tasks down a second or so later."""


def register_process() -> None:
    """Note on this flow run which process it is. Raises CrashLoopError if it was put back too often without a person."""
    if not flow_run.id:
        return
    with get_client(sync_client=True) as client:
        tries = client.read_flow_run(UUID(str(flow_run.id))).run_count
        client.update_flow_run_labels(flow_run.id, {PROCESS: _this_process(), TRY: tries})
        mark_children_crashed(client, {"id": {"any_": [flow_run.id]}})
        crashes = _crashes_in_a_row(client.read_flow_run_states(flow_run.id))
    if crashes > MOST_CRASHES:
        raise CrashLoopError(f"this run crashed {crashes} times in a row; read its log, then retry it")


def recover() -> int:
    """Mark as crashed what no process works on any more; returns how many runs that were. A server that balks is only logged."""
    try:
        with get_client(sync_client=True) as client:
            gone = [run for run in _open_runs(client) if _is_gone(run)]
            for run in gone:
                client.set_flow_run_state(run.id, Crashed(message="its process is gone"), force=True)
            settled = {"before_": datetime.now(UTC) - SETTLED}
            return (
                len(gone)
                + mark_children_crashed(client, {"state": {"type": {"any_": CUT_SHORT}}})
                + mark_children_crashed(client, {"state": {"type": {"any_": ENDED_BY_ITSELF}}, "end_time": settled})
            )
    except httpx.HTTPError as error:  # these are other runs' records; the next look may find the server well
        logger.warning("runs whose process is gone could not be marked: %r", error)
        return 0


def mark_children_crashed(client: SyncPrefectClient, parents: dict[str, Any]) -> int:
    """Task runs and stage runs that are open inside `parents`, a filter of flow runs that no longer work on them."""
    above = FlowRunFilter.model_validate(parents)
    open_inside = TaskRunFilter.model_validate({"state": {"type": {"any_": OPEN}, "name": None}})
    buried = 0
    while tasks := client.read_task_runs(flow_run_filter=above, task_run_filter=open_inside, limit=PAGE):
        stages = client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate(
                {"parent_task_run_id": {"any_": [task.id for task in tasks]}, "state": {"type": {"any_": OPEN}}}
            )
        )
        for stage in stages:
            client.set_flow_run_state(stage.id, Crashed(message="the run it belonged to is gone"), force=True)
            buried += 1 + mark_children_crashed(client, {"id": {"any_": [stage.id]}})
        for task in tasks:
            client.set_task_run_state(task.id, Crashed(message="its process is gone"), force=True)
        buried += len(tasks)
        if len(tasks) < PAGE:
            break
    return buried


def _open_runs(client: SyncPrefectClient) -> list[FlowRun]:
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": [StateType.RUNNING]}}}), limit=PAGE
    )


def _this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{process_start_ticks(os.getpid())}"


def _is_gone(run: FlowRun) -> bool:
    """Only what ran on this host can be known to be gone."""
    if run.labels.get(TRY, run.run_count) != run.run_count:
        return False
    host, pid, ticks = str(run.labels.get(PROCESS, "::")).rsplit(":", 2)
    return host == socket.gethostname() and process_start_ticks(int(pid)) != ticks


def process_start_ticks(pid: int) -> str:
    """The start time in the kernel's ticks: process numbers are used again."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[19]
    except OSError:
        return ""


def _crashes_in_a_row(states: list[State]) -> int:
    """How often the run was put back by the automation since a person last did."""
    count, crashed = 0, False
    for state in sorted(states, key=lambda state: state.timestamp):
        if state.type == StateType.CRASHED:
            crashed = True
        elif state.type == StateType.SCHEDULED:
            # Prefect fires an automation more than once for one event at times (four times within a second, seen).
            count = count + crashed if state.message == GOING_ON else 0
            crashed = False
    return count
