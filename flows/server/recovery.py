"""Look after runs whose process is gone: mark them, so that none is shown running for ever, and put them back to go on.

Prefect marks a flow run whose process died under a living worker; it marks neither the task runs and stage runs inside, nor a
run whose machine died with its worker, nor one that a worker claimed and did not start. Its automations cannot put a run back
either once its server was restarted: an event that follows one from before waits a quarter of an hour for it, in memory. So
whoever stands looks: `synclr ui` and `synclr watch` every few seconds, and each run as it begins. Runs that began on other hosts
are noticed by their missing heartbeat (`flows/server/deployments.py`).
"""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowFilter, FlowRunFilter, TaskRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType, TaskRun
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import AwaitingRetry, Cancelled, Cancelling, Crashed, Failed, Running, Scheduled

from data_specs.stage import BACKGROUNDS, STAGES
from flows.server.engine_slots import free_slots
from flows.server.outage import outlast
from flows.server.processes import PROCESS, TRY, is_begun_here, is_gone, lives, register

logger = logging.getLogger("synclr")
WHOLE_RUNS = ["synclr", "synclr-by-stage"]
"""The flows that deployments run, and in which a process begins."""
OUR_FLOWS = [*WHOLE_RUNS, *STAGES, BACKGROUNDS]
WORKER = "synclr-ui"
"""The name of the worker that `synclr ui` keeps on this host."""
MOST_CRASHES = 3
LOOP = timedelta(minutes=5)
"""A try that lasted longer was no part of a crash loop."""
PAGE = 200
GOING_ON = "its process vanished; going on with what is sealed"
NOT_STARTED = "a worker claimed it and did not start it; it is offered again"
OPEN = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
SETTLED = timedelta(minutes=1)
"""After a flow's end: Prefect writes the last states of its tasks down a second or so later."""
REPORTED = timedelta(seconds=3)
"""After a crash: a run that is ended says so itself, and its worker once more when the process has ended."""
CLAIMED, CLAIMED_ELSEWHERE = timedelta(seconds=30), timedelta(minutes=5)
"""So long a run may be PENDING or silent before it is taken for lost: if its worker was on this host, or on another."""


def begin() -> None:
    """Note on this flow run which process it is; what an earlier try left open inside it is marked."""
    if flow_run.id:
        outlast(lambda: _begin(UUID(str(flow_run.id))))


def _begin(this: UUID) -> None:
    with get_client(sync_client=True) as client:
        register(client, this)
        mark_children(client, {"id": {"any_": [this]}})


def recover() -> int:
    """Look once; returns how many runs were marked or put back.

    Whatever goes wrong is only logged: these are other runs' records, and the next look may find the server well.
    """
    try:
        # A server that is away is asked again by the next look: no look is to wait a minute for it.
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 1}), get_client(sync_client=True) as client:
            return (
                _each(_runs(client, [StateType.RUNNING, StateType.CANCELLING]), lambda run: _bury(client, run))
                + _mark_inside_ended(client)
                + _each(_runs(client, [StateType.PENDING], deployed=True), lambda run: _offer_again(client, run))
                + _each(_runs(client, [StateType.CRASHED], deployed=True), lambda run: _go_on(client, run))
                + free_slots()
            )
    except Exception as error:
        logger.warning("runs whose process is gone could not be looked after: %r", error)
        return 0


def _each(runs: Iterable[FlowRun], look: Callable[[FlowRun], int]) -> int:
    changed = 0
    for run in runs:
        with suppress(ObjectNotFound):  # it was deleted meanwhile
            changed += look(run)
    return changed


def _runs(client: SyncPrefectClient, types: list[StateType], *, deployed: bool = False) -> list[FlowRun]:
    """Runs of ours: other flows on the server are nobody's business here."""
    described: dict[str, Any] = {"state": {"type": {"any_": types}}}
    if deployed:
        described["deployment_id"] = {"is_null_": False}
    found = client.read_flow_runs(
        flow_filter=FlowFilter.model_validate({"name": {"any_": WHOLE_RUNS}}),
        flow_run_filter=FlowRunFilter.model_validate(described),
        limit=PAGE,
    )
    return [run for run in found if PROCESS in run.labels or "synclr" in run.tags]


def _bury(client: SyncPrefectClient, run: FlowRun) -> int:
    if not (is_gone(run) or _never_began(run)):
        return 0
    end = Cancelled if run.state_type == StateType.CANCELLING else Crashed
    client.set_flow_run_state(run.id, end(message="its process is gone"), force=True)
    return 1


def _never_began(run: FlowRun) -> bool:
    """Whether its process ended between the first word to the server and `begin`: it has no label of this try."""
    return bool(run.deployment_id) and run.labels.get(TRY) != run.run_count and _is_lost(run)


def _is_lost(run: FlowRun) -> bool:
    """Whether nothing on its worker's host works on a run that has not begun, and has had its time to."""
    worker = run.labels.get("prefect.worker.name", WORKER)  # it is labelled at once: without, the worker is gone
    patience = CLAIMED if worker == WORKER else CLAIMED_ELSEWHERE
    return _age(run) > patience and not is_begun_here(run.id)


def _age(run: FlowRun) -> timedelta:
    return datetime.now(UTC) - run.state.timestamp if run.state else timedelta(0)


def _offer_again(client: SyncPrefectClient, run: FlowRun) -> int:
    # A pod may wait long for its node, and Kubernetes tells its worker if it comes to nothing.
    if run.state_name == "InfrastructurePending" or not _is_lost(run):
        return 0
    client.set_flow_run_state(run.id, Scheduled(message=NOT_STARTED))
    return 1


def _go_on(client: SyncPrefectClient, run: FlowRun) -> int:
    """Put a crashed run back, or fail it where that did not help; one that lives though it was silent is shown running again."""
    if _age(run) < REPORTED or (lives(run.labels.get(PROCESS)) and _age(run) < SETTLED):
        return 0
    if lives(run.labels.get(PROCESS)):
        client.set_flow_run_state(run.id, Running(message="it was silent, and is not gone"), force=True)
        client.update_flow_run_labels(run.id, {TRY: client.read_flow_run(run.id).run_count})
    elif (crashes := _crashes_in_a_row(client.read_flow_run_states(run.id))) > MOST_CRASHES:
        message = f"it crashed {crashes} times in a row, each within {LOOP.seconds // 60} minutes; read its log, then retry it"
        client.set_flow_run_state(run.id, Failed(message=message), force=True)
    else:
        client.set_flow_run_state(run.id, AwaitingRetry(message=GOING_ON))
    return 1


def _mark_inside_ended(client: SyncPrefectClient) -> int:
    """Task runs and stage runs that are still open inside runs of ours that have ended."""
    settled = {"before_": datetime.now(UTC) - SETTLED}
    ended: list[dict[str, Any]] = [
        {"state": {"type": {"any_": [StateType.CRASHED]}}},
        {"state": {"type": {"any_": [StateType.CANCELLED]}}},
        {"state": {"type": {"any_": [StateType.COMPLETED, StateType.FAILED]}}, "end_time": settled},
    ]
    return sum(mark_children(client, each) for each in ended)


def mark_children(client: SyncPrefectClient, parents: dict[str, Any]) -> int:
    """Mark as crashed what is open inside `parents`, a filter of flow runs that no longer work on it; others' are left out.

    A stage run that has a worker of its own is none of it: it works on, and ends where its whole run was cancelled.
    """
    tasks = client.read_task_runs(
        flow_filter=FlowFilter.model_validate({"name": {"any_": OUR_FLOWS}}),
        flow_run_filter=FlowRunFilter.model_validate(parents),
        task_run_filter=TaskRunFilter.model_validate({"state": {"type": {"any_": OPEN}, "name": None}}),
        limit=PAGE,
    )
    inside = {run_id: client.read_flow_run(run_id) for run_id in {task.flow_run_id for task in tasks} if run_id}
    return sum(_mark_child(client, task, inside[task.flow_run_id]) for task in tasks if task.flow_run_id)


def _mark_child(client: SyncPrefectClient, task: TaskRun, parent: FlowRun) -> int:
    if not _is_ours(client, parent):
        return 0
    marked = 0
    for stage in client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate({"parent_task_run_id": {"any_": [task.id]}})
    ):
        if stage.state_type not in (*OPEN, StateType.SCHEDULED):
            continue
        if stage.deployment_id is None:
            client.set_flow_run_state(stage.id, Crashed(message="the run it belonged to is gone"), force=True)
            marked += 1 + mark_children(client, {"id": {"any_": [stage.id]}})
        elif parent.state_type == StateType.CANCELLED and stage.state_type != StateType.CANCELLING:
            client.set_flow_run_state(stage.id, Cancelling(message="the run it belonged to was cancelled"))
            return marked + 1
        else:
            return marked
    client.set_task_run_state(task.id, Crashed(message="its process is gone"), force=True)
    return marked + 1


def _is_ours(client: SyncPrefectClient, run: FlowRun) -> bool:
    """Whether a run, or one around it, says which process it is: a label that only our flows write."""
    while PROCESS not in run.labels and run.parent_task_run_id is not None:
        around = client.read_task_run(run.parent_task_run_id).flow_run_id
        assert around is not None  # a task that stands for a flow run is within another
        run = client.read_flow_run(around)
    return PROCESS in run.labels


def _crashes_in_a_row(states: list[State]) -> int:
    """How often a run crashed soon after it began, put back by `recover` each time, since a person last put it back."""
    count, crashed, began, before = 0, False, None, None
    for state in sorted(states, key=lambda state: state.timestamp):
        if state.type == StateType.RUNNING:
            began = state.timestamp
        # One that waited for a worker and was called silent did not crash.
        elif state.type == StateType.CRASHED and before != StateType.SCHEDULED:
            crashed = began is None or state.timestamp - began < LOOP
            count = count if crashed else 0
        elif state.type == StateType.SCHEDULED and state.name != "Late":
            # Two who look may put a run back at once: that is one crash.
            count = count + crashed if state.message in (GOING_ON, NOT_STARTED) else 0
            crashed = False
        before = state.type
    return count + crashed
