"""Seal the images of benchmarks before encoders embed them: once a root, spread over all cores."""

from typing import Any

from prefect.futures import PrefectFuture

from flows.execution.bundle_task import bundle_task
from flows.execution.inputs import embedding_inputs
from flows.execution.run_bundles import cores, engines
from flows.execution.stage_run import StageRun
from tasks.bundles import Work
from tasks.embeddings.extract import seal_benchmarks


def seal_missing_benchmarks(stage_run: StageRun) -> list[PrefectFuture[Any]]:
    """Nothing where all embeddings are sealed; else the future of the task, which has ended, for the edge in the run graph."""
    if not stage_run.missing:
        return []
    plan = stage_run.plan
    indices, made_by, inputs = tuple(stage_run.missing), stage_run.made_by, embedding_inputs(plan)
    work = Work(stage_run.stage, indices, plan.spec.embeddings, inputs, plan.spec.seed, made_by)
    with engines(stage_run, cores(), threads=1) as started:
        task = bundle_task("seal the benchmarks", seal_benchmarks)
        sealing: PrefectFuture[Any] = task.submit(work, started, stage_run.emit)
        sealing.result()
    return [sealing]
