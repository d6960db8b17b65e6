"""Check every sealed shard of a run against its manifest and contract, and describe each fault in words."""

from collections.abc import Iterator
from typing import Any

from data_specs import (
    background,
    benchmark_image,
    caption,
    checkpoint,
    concept,
    embedding,
    image_group,
    score,
    selection,
)
from data_specs.contract import Contract
from data_specs.shard import ShardAddress
from data_specs.specs.run import RunSpec
from data_specs.stage import BACKGROUNDS
from flows.runs.plan import read_plan
from tasks.encoder.checkpoints import verify_checkpoints
from tasks.shard_faults import verify_shard
from tasks.shards import read_shard, sealed_shards

CONTRACTS: dict[str, Contract[Any]] = {
    BACKGROUNDS: background.CONTRACT,
    "concepts": concept.CONTRACT,
    "captions": caption.CONTRACT,
    selection.SELECTION: selection.CONTRACT,
    "images": image_group.CONTRACT,
    "encoder": checkpoint.CONTRACT,
    "embeddings": embedding.CONTRACT,
    "scores": score.CONTRACT,
    "benchmarks": benchmark_image.CONTRACT,
}


def verify(root: str, name: str) -> tuple[int, list[str]]:
    """The number of sealed shards, and what is wrong with them: counts, digests, records, incomplete groups.

    Raises SpecError if there is no such run.
    """
    plan = read_plan(root, name)
    checked, faults = 0, []
    for stage in plan.stages.values():
        for address in sealed_shards(stage):
            checked += 1
            faults += shard_faults(address, plan.spec)
    return checked, faults


def shard_faults(address: ShardAddress, spec: RunSpec) -> list[str]:
    """What is wrong with one shard, which counts as wrong too if it is not sealed."""
    return verify_shard(address, CONTRACTS[address.stage]) or list(_stage_faults(address, spec))


def _stage_faults(address: ShardAddress, spec: RunSpec) -> Iterator[str]:
    match address.stage:
        case "images":
            yield from _incomplete_groups(address, spec.images.per_caption)
        case "encoder":
            yield from verify_checkpoints(address)


def _incomplete_groups(address: ShardAddress, per_caption: int) -> Iterator[str]:
    # The one fault a digest cannot show: a group that was sealed short.
    for group in read_shard(address, image_group.CONTRACT):
        if len(group.images) != per_caption:
            yield f"{address.stem}: caption {group.caption.id} has {len(group.images)} images, not {per_caption}"
