"""Ingest: the recipe's sources of names become one sealed table of concepts."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_specs.stage import BACKGROUNDS, SealedStage
from flows.execution.inputs import concept_entries
from flows.execution.seal import seal
from flows.execution.stage_flow import stage_flow
from flows.execution.stage_run import StageRun
from flows.execution.write_backgrounds import backgrounds_for
from flows.runs.plan import RunPlan
from tasks.concepts.ingest import ingest_table

seal_table = task(name="ingest concepts", cache_policy=NO_CACHE)(ingest_table)


@stage_flow("concepts", "concepts of {plan.name}")
def ingest_concepts(plan: RunPlan) -> SealedStage:
    """Read every source, clean and merge the names, have an LLM write backgrounds if asked to, weigh, and seal the table."""
    with StageRun(plan, "concepts", reads=plan.stages.get(BACKGROUNDS)) as stage_run:
        planned = len(stage_run.planned)
        stage_run.begin("tables", planned, planned - len(stage_run.missing))
        entries = concept_entries(plan) if stage_run.missing else None
        written = backgrounds_for(plan, needed=entries is not None)
        made = []
        if entries is not None:
            shards = list(written.shards()) if written else []
            table, by, emit = stage_run.stage.table, stage_run.made_by, stage_run.emit
            made.append(seal_table(table, entries, shards, plan.spec.concepts, made_by=by, emit=emit))
        return seal(stage_run, made)
