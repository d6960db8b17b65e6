"""Run a stage as a flow run of its own, on whatever worker takes it, and wait for its end."""

import time
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.runtime import flow_run

from data_specs.errors import StageFailedError
from flows.runs.plan import RunPlan
from flows.server.outage import outlast

POLL_SECONDS = 5.0
PUT_BACK = timedelta(minutes=5)
"""A crashed run is put back within seconds by whoever looks after runs (`flows/server/recovery.py`), if anybody does."""


def run_stage_elsewhere(plan: RunPlan, stage: str, recipe: str) -> None:
    """Returns when the deployment `synclr/<stage>` has completed by this plan. Raises StageFailedError if it ends otherwise."""
    alone = plan.model_copy(update={"since": stage, "until": stage}).model_dump(mode="json")
    words = {"recipe": recipe, "name": plan.name, "root": plan.root, "since": stage, "until": stage, "plan": alone}
    # One run for each attempt, however often the request is sent. A retry asks anew: a failed run stays failed, and one
    # that is still under way shares its shards.
    key = f"{flow_run.id}-{stage}-{flow_run.run_count}"
    asked = outlast(
        lambda: cast(
            FlowRun,
            run_deployment(f"synclr/{stage}", parameters=words, idempotency_key=key, timeout=0),
        )
    )
    ended = wait_for_end(asked.id)
    if ended.state is None or not ended.state.is_completed():
        message = ended.state.message if ended.state else "no state"
        raise StageFailedError(f"{message}; that is the stage {stage}, flow run {ended.name}")


def wait_for_end(run_id: UUID) -> FlowRun:
    """The run once it has ended for good; one that crashed has not, for as long as it may be put back."""
    while True:
        run = outlast(lambda: _read(run_id))
        if run.state and run.state.is_final() and not (run.state.is_crashed() and _is_recent(run.state.timestamp)):
            return run
        time.sleep(POLL_SECONDS)


def _read(run_id: UUID) -> FlowRun:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run_id)


def _is_recent(moment: datetime) -> bool:
    return datetime.now(UTC) - moment < PUT_BACK
