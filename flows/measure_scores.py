"""Measure: probes, nearest neighbours and zero-shot judge every embedding shard."""

from data_specs.stage import SealedStage
from flows.execution.inputs import score_inputs
from flows.execution.run_bundles import run_bundles
from flows.execution.stage_flow import stage_flow
from flows.execution.stage_run import StageRun
from flows.runs.plan import RunPlan
from tasks.scores.measure import measure_bundle


@stage_flow("scores", "scores of {plan.name}")
def measure_scores(plan: RunPlan, embeddings: SealedStage) -> SealedStage:
    """Judge every encoder by every protocol of the recipe."""
    with StageRun(plan, "scores", reads=embeddings) as stage_run:
        return run_bundles(stage_run, measure_bundle, plan.spec.scores, score_inputs, unit="tables", per_shard=1)
