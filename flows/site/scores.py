"""The pages of a run's scores, and of the encoder that has them: its checkpoints, and the image shards that it saw."""

from collections.abc import Mapping, Sequence
from typing import Any

from data_specs.embedding import JOINT
from flows.inspect.readable import readable
from flows.report.score_tables import score_tables
from flows.runs.lineages import rows
from flows.runs.plan import RunPlan
from flows.site.addresses import FRONT, run_page
from flows.site.site import Site, SitePage
from flows.site.thumbnails import ShardTile, tiles
from tasks.scores.summary import headline
from tasks.shards import missing, sealed_shards

OURS = ("trained", JOINT)
"""Kinds of encoders in tables of scores that are the run's own."""


def scores_view(site: Site, run: str) -> SitePage:
    plan = site.plan(run)
    stage = plan.stages["scores"]
    absent = len(missing(stage))
    tables, fault = (None, "") if absent else readable(score_tables, stage)
    content = {"run": run, "stage": stage, "sealed": stage.count - absent, "tables": tables or [], "fault": fault}
    content |= {"ours": OURS}
    return SitePage("scores.html", f"Scores of {run}", (("runs", FRONT), (run, run_page(run))), content)


def encoder_view(site: Site, run: str) -> SitePage:
    plan = site.plan(run)
    stage, scores = plan.stages["encoder"], plan.stages["scores"]
    checkpoints, fault = (None, "") if missing(stage) else readable(rows, stage.table)
    content: dict[str, Any] = {
        "run": run,
        "stage": stage,
        "checkpoints": checkpoints or [],
        "fault": fault,
        "tiles": _seen(site, plan, checkpoints) if checkpoints else [],
        "count": plan.stages["images"].count,
        "scores": [] if missing(scores) else readable(headline, scores)[0] or [],
    }
    return SitePage("encoder.html", f"Encoder of {run}", (("runs", FRONT), (run, run_page(run))), content)


def _seen(site: Site, plan: RunPlan, checkpoints: Sequence[Mapping[str, Any]]) -> list[ShardTile]:
    """Some of the shards that the checkpoints saw."""
    images = plan.stages["images"]
    stems = {stem for row in checkpoints if row["images_lineage"] == images.lineage for stem in row["shards"]}
    return tiles(site, plan, [shard for shard in sealed_shards(images) if shard.stem in stems])
