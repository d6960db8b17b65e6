"""Render: a diffusion model draws the images of every caption that the selection keeps."""

from data_specs.stage import SealedStage
from flows.execution.inputs import image_inputs
from flows.execution.run_bundles import run_bundles
from flows.execution.select_captions import selection_for
from flows.execution.stage_flow import stage_flow
from flows.execution.stage_run import StageRun
from flows.inspect.long_captions import long_captions
from flows.runs.plan import RunPlan
from tasks.images.render import render_bundle


@stage_flow("images", "images of {plan.name}, {plan.spec.images.per_caption} per caption")
def render_images(plan: RunPlan, captions: SealedStage) -> SealedStage:
    """Select captions across shards, then render complete groups of images."""
    spec, per_shard = plan.spec.images, plan.spec.captions.per_shard * plan.spec.images.per_caption
    with StageRun(plan, "images", reads=captions) as stage_run:
        selection_for(plan, stage_run.made_by, stage_run.emit, needed=bool(stage_run.missing))
        sealed = run_bundles(stage_run, render_bundle, spec, image_inputs, unit="images", per_shard=per_shard)
        if (long := long_captions(sealed)).count:
            stage_run.notice(str(long))
        return sealed
