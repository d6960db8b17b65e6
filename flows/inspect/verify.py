"""A run's name enters; every fault of every sealed shard of its rooms leaves, in words."""

from collections.abc import Iterator
from typing import Any

from data_specs import background, caption, checkpoint, concept, embedding, image_group, score
from data_specs import selection as choice
from data_specs.contract import Contract
from data_specs.errors import ContractError
from data_specs.run import Run
from data_specs.shard import ShardAddress
from flows.runs.folder import read_recipe
from flows.runs.resolve import rooms
from tasks.encoder.checkpoints import verify_checkpoints
from tasks.shards import read_shard, sealed, verify_shard

CONTRACTS: dict[str, Contract[Any]] = {
    "backgrounds": background.CONTRACT,
    "concepts": concept.CONTRACT,
    "captions": caption.CONTRACT,
    choice.SELECTION: choice.CONTRACT,
    "images": image_group.CONTRACT,
    "encoder": checkpoint.CONTRACT,
    "embeddings": embedding.CONTRACT,
    "scores": score.CONTRACT,
}


def verify(root: str, name: str) -> tuple[int, list[str]]:
    """How many sealed shards were read, and what is wrong with them: counts, digests, records, incomplete groups."""
    run, _ = read_recipe(root, name)
    checked, faults = 0, []
    for room in rooms(run.spec, root).values():
        for address in room.shards:
            try:
                if sealed(address) is None:
                    continue
            except ContractError as error:
                faults.append(str(error))
                continue
            checked += 1
            faults += shard_faults(address, run)
    return checked, faults


def shard_faults(address: ShardAddress, run: Run) -> list[str]:
    """What is wrong with one sealed shard."""
    return verify_shard(address, CONTRACTS[address.room]) or list(_room_faults(address, run))


def _room_faults(address: ShardAddress, run: Run) -> Iterator[str]:
    match address.room:
        case "images":
            yield from _incomplete(address, run.spec.images.per_caption)
        case "encoder":
            yield from verify_checkpoints(address)


def _incomplete(address: ShardAddress, per_caption: int) -> Iterator[str]:
    # The one fault a digest cannot show: a group that was sealed short.
    for group in read_shard(address, image_group.CONTRACT):
        if len(group.images) != per_caption:
            yield f"{address.stem}: caption {group.caption.id} has {len(group.images)} pictures, not {per_caption}"
