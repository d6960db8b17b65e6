"""Run a request from the command line: make what is missing under a Prefect server, and sum up."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from data_specs.stage import INNER_STAGES, STAGES, SealedStage
from flows.runs.plan import RunPlan, read_sealed, record_sealed
from flows.runs.planning import plan_run
from flows.runs.request import Request
from flows.runs.resolve import stale_fields
from flows.runs.slices import Slice
from flows.server.api_check import require_api
from flows.server.prefect_server import chosen, running
from tasks import storage
from tasks.events import Emit, Notice
from tasks.scores.summary import headline
from tasks.shards import missing


def run_request(request: Request, listeners: Sequence[Emit] = (), part: Slice | None = None) -> dict[str, Any]:
    """`{"run", "stages", "scores", "report"}` of what was made; `listeners` get its events; `part` is what others leave to it.

    Raises SpecError before any work if the request is wrong; afterwards what the stages raise.
    """
    plan = plan_run(request, asked_by=str(uuid4()), listeners=listeners).model_copy(update={"slice": part})
    before = read_sealed(plan)
    stale = {name: stale_fields(plan.stages[name], before.get(name)) for name in STAGES}
    lacking = {name: missing(plan.stages[name]) for name in plan.requested}
    absent = {name: len(plan.own(indices)) for name, indices in lacking.items()}
    if any(lacking.values()):
        _make(plan, request)
    else:
        _record_reused(plan)
    sealed, left = read_sealed(plan), dict.fromkeys(plan.requested, 0)
    if part is not None:  # the last stage need not be whole, and whoever makes the rest records it
        from flows.execution.stage_run import sum_up

        last = plan.stages[plan.until]
        left[last.name], sealed[last.name] = len(missing(last)), sum_up(last, made=0, partly=True)
    return {
        "run": plan.name,
        "stages": [
            _summary(sealed[name], absent[name], left[name]) | {"stale": stale[name]} for name in plan.requested
        ],
        "scores": headline(plan.stages["scores"]) if plan.until == STAGES[-1] and not left["scores"] else [],
        "report": _report(plan, remake=not any(lacking.values()) and any(stale.values())),
    }


def _make(plan: RunPlan, request: Request) -> None:
    with _log_to_file(plan), _prefect(plan):
        from flows.synclr import synclr

        synclr(**request.parameters(), plan=plan)


def _record_reused(plan: RunPlan) -> None:
    """A run with nothing to make needs no Prefect, which takes 15 s to start."""
    # Imported here: it brings Prefect.
    from flows.execution.stage_run import sum_up

    last = STAGES.index(plan.until)
    for name, stage in plan.stages.items():
        if STAGES.index(INNER_STAGES.get(name, name)) <= last and not missing(stage):
            record_sealed(plan, sum_up(stage, made=0))


def _summary(sealed: SealedStage, made: int, left: int) -> dict[str, Any]:
    """`made` counts what was missing when this run began, of this slice's part; `left` is what other slices have still to make.

    `sealed` remembers what the last run that made something had made.
    """
    counts = {"shards": sealed.count, "made": made, "sealed": sealed.count - left}
    kept = {"accepted": sealed.accepted, "rejected": sealed.rejected}
    return {"stage": sealed.name, "lineage": sealed.lineage, "folder": sealed.folder} | counts | kept


@contextmanager
def _prefect(plan: RunPlan) -> Iterator[None]:
    """The server that the user has configured or that `synclr ui` runs, else one for the time of the run."""
    url = chosen()
    from prefect.settings import PREFECT_API_URL, temporary_settings

    if url:
        require_api(url)
        with temporary_settings({PREFECT_API_URL: url}):
            yield
        return
    with running(log=plan.log_folder / "prefect.log", only_records=True) as address:
        plan.emit(Notice(plan.name, "", f"Prefect UI for the time of this run: {address}"))
        with temporary_settings({PREFECT_API_URL: f"{address}/api"}):
            try:
                yield
            finally:
                _drain()


def _drain() -> None:
    """What Prefect still has to send must reach the server before it ends."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    EventsWorker.drain_all(timeout=10)
    APILogWorker.drain_all(timeout=10)


def _report(plan: RunPlan, *, remake: bool) -> str:
    """A run that made something has written it."""
    url = f"{plan.folder}/report.html"
    if not remake and storage.read_bytes(url) is not None:
        return url
    from flows.report import write_report

    return write_report(plan)


@contextmanager
def _log_to_file(plan: RunPlan) -> Iterator[None]:
    """Warnings of the stages (a shard that another process makes, a retry) stay readable after the bars are gone."""
    logs = plan.log_folder
    logs.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(logs / "run.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("synclr")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
