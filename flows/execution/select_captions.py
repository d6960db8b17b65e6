"""The inner stage of `images` that seals, per caption shard, which captions are to be rendered."""

import time

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_specs.selection import SELECTION
from data_specs.shard import MadeBy
from data_specs.stage import SealedStage
from flows.execution.stage_run import sum_up
from flows.runs.plan import RunPlan, record_sealed
from flows.runs.resolve import write_facts
from tasks.captions.select import select_shards
from tasks.events import Emit, Finished, Started
from tasks.shards import missing


def selection_for(plan: RunPlan, made_by: MadeBy, emit: Emit, *, needed: bool) -> SealedStage | None:
    """The sealed selection that images are rendered by; None where the recipe compares nothing, or none is needed or there."""
    stage = plan.stages.get(SELECTION)
    if stage is None:
        return None
    if missing(stage):
        # A task only where there is work for it: a run graph shows what was done.
        made: SealedStage | None = select_task(plan, made_by, emit) if needed else None
        return made
    return record_sealed(plan, sum_up(stage, made=0))


def select_captions(plan: RunPlan, made_by: MadeBy, emit: Emit) -> SealedStage:
    """Make the tables that are missing. It has no engine, and no flow of its own."""
    stage, captions, per_shard = plan.stages[SELECTION], plan.stages["captions"], plan.spec.captions.per_shard
    absent, began = len(missing(stage)), time.monotonic()
    write_facts(stage)
    emit(Started(plan.name, SELECTION, "captions", captions.count * per_shard, (captions.count - absent) * per_shard))
    concepts, spec, seed = plan.stages["concepts"].table, plan.spec.captions, plan.spec.seed
    select_shards(stage, captions, concepts, spec, seed=seed, made_by=made_by, emit=emit)
    seconds = time.monotonic() - began
    emit(Finished(plan.name, SELECTION, seconds))
    return record_sealed(plan, sum_up(stage, absent, seconds))


select_task = task(name="select captions across shards", cache_policy=NO_CACHE)(select_captions)
