"""Register our deployments on a Prefect server, with their work pool, engine slots and automation.

`synclr/run` is the whole run, `synclr/<stage>` one stage on its own, `synclr-by-stage/run-by-stage` the whole run with each stage
handed to that stage's own deployment, for clusters where every kind of stage has workers of its own. Registering again updates.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from prefect import Flow
from prefect.automations import Automation
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import StateType
from prefect.deployments.runner import RunnerDeployment
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.schedules import Cron, Schedule
from prefect.types.entrypoint import EntrypointType
from prefect.workers.process import ProcessWorker

from data_specs.stage import STAGES
from flows.runs.form import FIRST_BOXES, settings_schema
from flows.runs.own_pages import SITE
from flows.server.engine_slots import set_slots
from flows.server.recovery import WHOLE_RUNS
from tasks import storage

QUEUES = {
    "concepts": "cpu",
    "captions": "captions",
    "images": "images",
    "encoder": "encoder",
    "embeddings": "encoder",
    "scores": "cpu",
}
"""Which kind of worker a stage wants. A worker that names no queue takes all of them."""
MORE = {
    "synclr/run": (
        "The same `name` goes on with a run. To grow one every night, or to train on it every week, edit a schedule: `name` "
        "in its parameters is the run, `grow` the captions. Its next runs are listed some minutes after it was switched on."
    ),
    "synclr-by-stage/run-by-stage": (
        "For clusters, where each kind of stage has workers of its own; on one machine, use `synclr/run`."
    ),
}
"""What the descriptions of deployments say beside that of their flow."""
BY_SERVER = {"id", "owner_resource"}
"""Of an automation, what its server adds."""
SILENCE = timedelta(seconds=90)
"""Three heartbeats (`flows/server/settings.py`)."""
SILENT = f"no heartbeat for {SILENCE.seconds} s: its process or machine is gone"


def schedules(time_zone: str) -> list[Schedule]:
    """Examples, asleep until somebody wakes them: every night run `growing` gets 512 more captions, every Sunday an encoder."""
    nightly = {"name": "growing", "grow": 512, "until": "images"}
    weekly = {"name": "growing", "grow": 0}
    return [
        Cron("0 2 * * *", timezone=time_zone, active=False, slug="nightly-growth", parameters=nightly),
        Cron("0 6 * * 0", timezone=time_zone, active=False, slug="weekly-training", parameters=weekly),
    ]


def description(flow: Flow[..., Any], name: str) -> str:
    """What a deployment's page says of it, in Markdown: what it makes, how it is scheduled, where to look at what it made."""
    site = os.environ.get(SITE)
    pages = f"Runs, their shards and images, each with its prompt, seeds and scores: [{site}]({site})" if site else ""
    return "\n\n".join(filter(None, (flow.description, MORE.get(f"{flow.name}/{name}"), pages)))


def deploy(
    root: str, pool: str, slots: int | None, time_zone: str, *, run_flow: Flow[..., Any], by_stage_flow: Flow[..., Any]
) -> list[str]:
    """Raises what Prefect raises if the server refuses; returns the deployments' names.

    `slots` stages may hold engines at a time, over all runs of the server; None: as many as before, 1 at first. Schedules
    are new ones' alone, in `time_zone`.
    """
    root = storage.absolute(root)
    with get_client(sync_client=True) as client:
        kind = _work_pool(client, pool)
        set_slots(client, slots)
        new = not _stands(client, "synclr/run")

    def described(
        flow: Flow[..., Any], name: str, queue: str, schedules: list[Schedule] | None = None, **fixed: str
    ) -> RunnerDeployment:
        made = cast(
            RunnerDeployment,
            flow.to_deployment(
                name,
                parameters={"root": root, **fixed},
                schedules=schedules,
                tags=["synclr", name],
                description=description(flow, name),
                work_pool_name=pool,
                work_queue_name=queue,
                job_variables=_job_variables(kind, queue),
                entrypoint_type=EntrypointType.MODULE_PATH,
            ),
        )
        fit_form(made._parameter_openapi_schema.properties, name)
        return made

    deployments = [
        # Schedules are given once: which of them are awake, and when, is the operator's choice from then on.
        described(run_flow, "run", "cpu", schedules(time_zone) if new else None),
        described(by_stage_flow, "run-by-stage", "cpu"),
        *(described(run_flow, stage, QUEUES[stage], since=stage, until=stage) for stage in STAGES),
    ]
    for each in deployments:
        each.apply()
    _register(_notice_silence())
    return [each.full_name for each in deployments]


def fit_form(properties: dict[str, Any], name: str) -> None:
    """Takes from a form what nobody types: nulls (it refuses them), whole plans, and the settings of stages after its own."""
    properties.pop("plan", None)
    for schema in properties.values():
        if schema.get("default", "") is None:
            del schema["default"]
    if name in STAGES:
        shown = (*STAGES[: STAGES.index(name) + 1], "seed", "execution")
        properties["settings"] |= settings_schema(shown)
        for box, part in FIRST_BOXES.items():
            if part not in shown:
                del properties[box]


def _job_variables(pool: str, queue: str) -> dict[str, Any]:
    """What a pool of this type must know of a deployment beside its queue."""
    match pool:
        case ProcessWorker.type:
            # Its worker runs each flow in a folder that is gone afterwards; relative paths in recipes count from here.
            return {"working_dir": str(Path.cwd())}
        case "kubernetes":
            return {"kind": queue, "gpus": 0 if queue == "cpu" else 1}  # of docker/kubernetes/job-template.json
        case _:
            return {}


def _work_pool(client: SyncPrefectClient, name: str) -> str:
    """The pool's type; a pool that is not there becomes one of processes."""
    try:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(WorkPoolCreate(name=name, type=ProcessWorker.type, base_job_template=template))
    except ObjectAlreadyExists:
        pass
    return client.read_work_pool(name).type


def _stands(client: SyncPrefectClient, deployment: str) -> bool:
    try:
        client.read_deployment_by_name(deployment)
    except ObjectNotFound:
        return False
    return True


def _notice_silence() -> Automation:
    """A machine that is gone says nothing: a run without heartbeat has crashed."""
    ended = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}
    return Automation(
        name="synclr: a run without heartbeat has crashed",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.heartbeat", "prefect.flow-run.AwaitingRetry", *ended},
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": WHOLE_RUNS},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=SILENCE,
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=SILENT, force=False)],
    )


def _register(automation: Automation) -> None:
    try:
        there = cast(Automation, Automation.read(name=automation.name))
    except ValueError:
        automation.create()
        return
    automation.id = there.id
    if there.model_dump(exclude=BY_SERVER) != automation.model_dump(exclude=BY_SERVER):
        automation.update()
