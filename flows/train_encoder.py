"""Train: a ViT learns from every image shard of the run, and is exported."""

from data_specs.stage import SealedStage
from flows.execution.inputs import encoder_inputs
from flows.execution.run_bundles import run_bundles
from flows.execution.stage_flow import stage_flow
from flows.execution.stage_run import StageRun
from flows.runs.plan import RunPlan
from tasks.encoder.checkpoints import steps_done
from tasks.encoder.train import train_bundle


@stage_flow("encoder", "encoder of {plan.name}, {plan.spec.encoder.steps} steps")
def train_encoder(plan: RunPlan, images: SealedStage) -> SealedStage:
    """Go on from the newest checkpoint, or start."""
    spec = plan.spec.encoder
    with StageRun(plan, "encoder", reads=images) as stage_run:
        done = steps_done(stage_run.stage.folder)
        return run_bundles(
            stage_run, train_bundle, spec, encoder_inputs, unit="steps", per_shard=spec.steps, found=done
        )
