"""The inner stage of `concepts` in which a language model writes backgrounds for names whose sources give none."""

from data_specs.stage import BACKGROUNDS, SealedStage
from flows.execution.inputs import background_inputs
from flows.execution.plain_flow import plain_flow
from flows.execution.run_bundles import run_bundles
from flows.execution.stage_run import StageRun, sum_up
from flows.runs.plan import RunPlan, record_sealed
from models.captioner.build import notice_of_chat_model
from tasks.concepts.write_backgrounds import write_bundle
from tasks.shards import missing


def backgrounds_for(plan: RunPlan, *, needed: bool) -> SealedStage | None:
    """The sealed backgrounds that the table is made from, asked for first if it `needed` them.

    None where the recipe has no such stage, or where it was never sealed.
    """
    stage = plan.stages.get(BACKGROUNDS)
    if stage is None:
        return None
    if needed:
        sealed: SealedStage = write_backgrounds(plan)
        return sealed
    return None if missing(stage) else record_sealed(plan, sum_up(stage, made=0))


@plain_flow(BACKGROUNDS, "backgrounds of {plan.name}")
def write_backgrounds(plan: RunPlan) -> SealedStage:
    """Ask about what is not sealed yet; the engine is gone when this ends."""
    spec = plan.spec.concepts.backgrounds_by
    assert spec is not None
    with StageRun(plan, BACKGROUNDS) as stage_run:
        if stage_run.missing and (text := notice_of_chat_model(spec)):
            stage_run.notice(text)
        return run_bundles(stage_run, write_bundle, spec, background_inputs, unit="objects", per_shard=spec.per_shard)
