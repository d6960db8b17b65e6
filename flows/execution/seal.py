"""The end of a stage run as one node of Prefect's run graph, on which the stage's artifacts hang."""

from collections.abc import Sequence
from typing import Any

from prefect.assets import Asset, AssetProperties, add_asset_metadata, materialize
from prefect.cache_policies import NO_CACHE

from data_specs.stage import SealedStage, Stage
from flows.artifacts.publish import publish_stage
from flows.execution.await_others import await_others
from flows.execution.stage_run import StageRun
from tasks.events import Published
from tasks.shards import missing


def seal(stage_run: StageRun, made: Sequence[Any]) -> SealedStage:
    """Sum up the stage, once other slices have made their part of it; at the end of a run they are not waited for.

    `made` are futures of what worked in it: their edges lead to the seal, and from it onwards.

    Only after every future was asked for its result: Prefect would run this with None in place of one that failed.
    """
    plan, stage = stage_run.plan, stage_run.stage
    if plan.slice is not None:
        if stage.name == plan.until and missing(stage):
            return stage_run.finish_part()
        await_others(stage_run)
    sealing = _seal.with_options(
        name=f"seal the {stage.name} stage",
        assets=[_asset(stage)],
        # By name, since Prefect follows assets within one flow only, and each stage is a flow of its own.
        asset_deps=[_key(stage_run.reads)] if stage_run.reads else [],
    )
    return sealing(stage_run, made)


@materialize("synclr://stage/lineage", name="seal a stage", cache_policy=NO_CACHE)
def _seal(stage_run: StageRun, made: Sequence[Any]) -> SealedStage:
    del made  # carries the edges
    sealed = stage_run.finish()
    add_asset_metadata(_key(stage_run.stage), sealed.model_dump(include={"count", "accepted", "rejected", "made"}))
    plan, flow_run, notice = stage_run.plan, stage_run.flow_run, stage_run.notice
    published = publish_stage(plan, sealed, stage_run.reads, stage_run.stale, flow_run=flow_run, notice=notice)
    stage_run.emit(Published(plan.name, sealed.name, tuple(published.items())))
    return sealed


def _key(stage: Stage) -> str:
    return f"synclr://{stage.name}/{stage.lineage}"


def _asset(stage: Stage) -> Asset:
    described = f"The {stage.name} stage of lineage {stage.lineage}, sealed under {stage.folder}"
    return Asset(
        key=_key(stage), properties=AssetProperties(name=f"{stage.name} {stage.lineage}", description=described)
    )
