"""The beginning and the end of a flow run: which process it is, what it is to make; its page and report."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from prefect.runtime import deployment, flow_run

from data_specs.errors import SpecError
from flows.artifacts.publish import never_fail
from flows.artifacts.run_page import RunPage
from flows.execution.run_log import run_log
from flows.report import write_report
from flows.runs.plan import RunPlan
from flows.runs.planning import begin_plan, plan_run
from flows.runs.request import Request
from flows.server.plain_errors import log_plainly
from flows.server.recovery import begin, recover
from tasks import storage
from tasks.events import Emit, Milestone, Notice

logger = logging.getLogger("synclr")


@contextmanager
def whole_run(
    plan: RunPlan | None,
    recipe: str,
    name: str | None,
    root: str | None,
    since: str,
    until: str,
    grow: int | None,
    settings: dict[str, Any] | None,
) -> Iterator[RunPlan]:
    """The plan that was handed over, or that of the request; the run's log and page hear of all that its stages do in the block.

    At its end the report is written, which is not worth a run whose stages are sealed. Raises SpecError before any work.
    """
    log = run_log()
    plan = start_run(plan, recipe, name, root, since, until, grow, settings, log)
    log(Milestone(plan.name, "", f"run {plan.name} begins: {plan.since} to {plan.until}, outputs under {plan.root}"))
    with RunPage(plan, str(flow_run.id)) as page:
        plan = plan.model_copy(update={"listeners": (*plan.listeners, page, log)})
        yield plan
        page.report(_report(plan))


def name_of_run() -> str:
    """The name of a flow run in Prefect's pages: `tiny: concepts to scores`."""
    words = flow_run.parameters
    name = _own_name(words.get("name")) or Path(words["recipe"]).stem
    return f"{name}: {words['since']} to {words['until']}"


def _own_name(name: str | None) -> str | None:
    """Where none was given, that of the flow run if a form or a schedule made it: its first box asks for a "Run Name".

    That name is later made longer by `name_of_run`, of which a retry takes the first part again.
    """
    if name or not deployment.id:
        return name
    return str(flow_run.name).partition(":")[0]


def start_run(
    plan: RunPlan | None,
    recipe: str,
    name: str | None,
    root: str | None,
    since: str,
    until: str,
    grow: int | None,
    settings: dict[str, Any] | None,
    log: Emit,
) -> RunPlan:
    """The plan, checked and stored; `log` hears what a request has to tell. Raises SpecError if it cannot be run."""
    begin_flow_run()
    if plan is None:
        request = request_of(recipe, name, root, since, until, grow, settings)
        plan = plan_run(request, asked_by=str(flow_run.id or uuid4()), listeners=[log])
        return plan.model_copy(update={"listeners": ()})
    if not plan.begun:  # it was resolved by another process
        _require_lasting(plan.root)
        begin_plan(plan)
    return plan


def begin_flow_run() -> None:
    """Note on Prefect's server which process this is, and mark what no process works on any more."""
    log_plainly()
    begin()
    recover()


def request_of(
    recipe: str,
    name: str | None,
    root: str | None,
    since: str,
    until: str,
    grow: int | None,
    settings: dict[str, Any] | None,
) -> Request:
    """The request of a form, without the parts that nobody filled in. Raises SpecError."""
    given = {part: value for part, value in (settings or {}).items() if value not in (None, {})}
    if deployment.id and grow is not None and not name:
        raise SpecError(f"grow {grow} says not which run is to grow: give its `name`")
    request = Request(recipe, _own_name(name), root, since, until, grow, given)
    _require_lasting(request.run_root)
    return request


def _report(plan: RunPlan) -> str:
    """Where the report lies, or that it could not be written."""

    def notice(text: str) -> None:
        logger.warning(text)
        plan.emit(Notice(plan.name, "", text))

    with never_fail(f"the report of run {plan.name}", notice):
        return write_report(plan)
    return "not written; the log says why"


def _require_lasting(root: str) -> None:
    """A worker's working folder may be gone with the flow run, and everything in it."""
    if deployment.id and storage.is_local(root) and not storage.local_path(root).is_absolute():
        raise SpecError(
            f"root {root!r} is relative to the worker's folder {Path.cwd()}; give an absolute root or s3://..., or start "
            "the worker with SYNCLR_ROOT"
        )
