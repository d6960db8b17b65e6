"""Extract: the trained encoder, and what it must beat, embed the images of every benchmark."""

from data_specs.stage import SealedStage
from flows.execution.benchmarks import seal_missing_benchmarks
from flows.execution.inputs import embedding_inputs
from flows.execution.run_bundles import run_bundles
from flows.execution.stage_flow import stage_flow
from flows.execution.stage_run import StageRun
from flows.runs.plan import RunPlan
from tasks.embeddings.extract import extract_bundle


@stage_flow("embeddings", "embeddings of {plan.name}")
def extract_embeddings(plan: RunPlan, encoder: SealedStage) -> SealedStage:
    """Seal the benchmarks' images where they are not yet, then embed them."""
    spec = plan.spec.embeddings
    with StageRun(plan, "embeddings", reads=encoder) as stage_run:
        sealing = seal_missing_benchmarks(stage_run)
        return run_bundles(
            stage_run, extract_bundle, spec, embedding_inputs, unit="shards", per_shard=1, wait_for=sealing
        )
