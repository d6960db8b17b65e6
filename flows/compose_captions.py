"""Compose: a language model writes the planned captions about the concepts."""

from data_specs.stage import SealedStage
from flows.execution.inputs import caption_inputs
from flows.execution.run_bundles import run_bundles
from flows.execution.stage_flow import stage_flow
from flows.execution.stage_run import StageRun
from flows.runs.plan import RunPlan
from models.captioner.build import notice_of_chat_model
from tasks.captions.compose import compose_bundle


@stage_flow("captions", "captions of {plan.name}, {plan.spec.captions.total} planned")
def compose_captions(plan: RunPlan, concepts: SealedStage) -> SealedStage:
    """Write what is missing, each slot asked for again until a caption passes the screens."""
    spec = plan.spec.captions
    with StageRun(plan, "captions", reads=concepts) as stage_run:
        if stage_run.missing and (text := notice_of_chat_model(spec)):
            stage_run.notice(text)
        return run_bundles(stage_run, compose_bundle, spec, caption_inputs, unit="captions", per_shard=spec.per_shard)
