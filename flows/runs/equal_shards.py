"""Reuse what other lineages of a stage have sealed of the same content: one more benchmark makes its own shards only."""

from collections import Counter

from data_specs.stage import Stage
from flows.runs.lineages import stages_under
from flows.runs.plan import RunPlan
from flows.runs.resolve import CONTENTS, write_facts
from tasks.copied_shards import copy_shard
from tasks.embeddings import patch_images
from tasks.events import Notice
from tasks.shards import missing


def reuse_equal_shards(plan: RunPlan) -> None:
    """Copy, for the stages that are requested, every missing shard that another lineage holds; tell how many and whose."""
    for name in plan.requested:
        stage = plan.stages[name]
        absent = missing(stage) if CONTENTS in stage.facts else []
        if not absent:
            continue
        for lineage, count in _reuse(plan.root, stage, absent).items():
            same = "encoders and images" if name == "embeddings" else "embeddings and settings"
            text = f"{name}: {count} of {stage.count} shards are reused from lineage {lineage}: the same {same}"
            plan.emit(Notice(plan.name, name, text))


def _reuse(root: str, stage: Stage, absent: list[int]) -> Counter[str]:
    """How many shards were copied from each lineage."""
    contents = stage.facts[CONTENTS]
    wanted = {contents[index]: index for index in absent}
    copied: Counter[str] = Counter()
    for other in stages_under(root, stage.name):
        for index, content in enumerate(other.facts.get(CONTENTS) or ()):
            if content not in wanted or other.lineage == stage.lineage:
                continue
            shard = stage.shard(wanted[content])
            write_facts(stage)
            # Beside the first embedding shard lie images that only its encoder can paint.
            first = stage.name == "embeddings" and shard.index == patch_images.SHARD
            if copy_shard(other.shard(index), shard, [patch_images.SUFFIX] if first else []):
                copied[other.lineage] += 1
                del wanted[content]
    return copied
