"""The pages of a run's scores, and of the encoder that has them: its checkpoints, and the image shards that it saw."""

from itertools import islice
from typing import Any

from data_specs import image_group
from data_specs.embedding import JOINT
from data_specs.shard import ShardAddress
from flows.report.galleries import images_of
from flows.report.score_tables import score_tables
from flows.runs.lineages import rows
from flows.runs.plan import RunPlan
from flows.site.addresses import FRONT, run_page, shard_page
from flows.site.site import Site, SitePage, readable
from tasks.scores.summary import headline
from tasks.shards import missing, read_shard, sealed_shards

SHARDS = 24
"""Of the image shards that an encoder saw, those that are shown by an image; the others are on the pages of the stage."""
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
        "shards": _seen(site, plan, checkpoints) if checkpoints else [],
        "count": plan.stages["images"].count,
        "scores": [] if missing(scores) else readable(headline, scores)[0] or [],
    }
    return SitePage("encoder.html", f"Encoder of {run}", (("runs", FRONT), (run, run_page(run))), content)


def _seen(site: Site, plan: RunPlan, checkpoints: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Some of the shards that the checkpoints saw, each with its first images; a shard that cannot be read has none."""
    images = plan.stages["images"]
    stems = {stem for row in checkpoints if row["images_lineage"] == images.lineage for stem in row["shards"]}
    here = [shard for shard in sealed_shards(images) if shard.stem in stems and shard.index in site.linked(images)]
    count = min(SHARDS, len(here))
    return [
        {"shard": shard, "page": shard_page(plan.name, shard), "images": readable(_first, shard)[0] or []}
        for shard in (here[number * len(here) // count] for number in range(count))
    ]


def _first(shard: ShardAddress) -> list[Any]:
    groups = islice(read_shard(shard, image_group.CONTRACT), 4)
    return [image for group in groups for image in images_of(group)[:1]]
