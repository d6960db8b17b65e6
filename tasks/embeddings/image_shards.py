"""The images room of a run enters; its pictures leave, with a caption's concept or category as their class."""

import re
from collections import defaultdict
from collections.abc import Iterator

from data_specs import image_group
from data_specs.benchmark_image import TEST, TRAIN, VALIDATION
from data_specs.errors import SpecError
from data_specs.ids import digest
from data_specs.rejection import Rejection
from data_specs.run import ImageShards
from data_specs.shard import ShardAddress
from tasks.embeddings.raw_sample import Shown
from tasks.shards import read_rows, read_shard, require_all_sealed
from tasks.storage import names

VERSION = 2
"""Raised when the same shards would be split otherwise."""
FIFTH = 5


def addresses(source: ImageShards) -> list[ShardAddress]:
    """Raises SpecError where no shard is sealed."""
    folder = source.path.rstrip("/")
    lineage = folder.rsplit("/", 1)[-1]
    found = [int(shard[1]) for name in names(folder) if (shard := re.fullmatch(r"images-(\d{6,})\.json", name))]
    if not found:
        raise SpecError(
            f"embeddings.data_sets: {source.name}: no sealed image shards in {folder!r}; give <root>/images/<lineage> of a run"
        )
    return [ShardAddress(folder=folder, room="images", lineage=lineage, index=index) for index in sorted(found)]


def fingerprint(source: ImageShards) -> str:
    manifests = require_all_sealed(addresses(source))
    return digest(VERSION, *(f"{manifest.index} {manifest.files['tar'].sha256}" for manifest in manifests))


def splits(source: ImageShards) -> dict[str, str]:
    """The split of each caption, for all its pictures, which are too alike to stand on both sides of a choice.

    A fifth of each class's captions is tested and a fifth validates, rounded down, so that no class is asked for untaught.
    """
    captions: dict[str, list[str]] = defaultdict(list)
    for address in addresses(source):
        rows = read_rows(address)
        for caption, label in zip(rows["id"].to_pylist(), rows[source.label].to_pylist(), strict=True):
            captions[label].append(caption)
    split_of: dict[str, str] = {}
    for ids in captions.values():
        fifth = len(ids) // FIFTH
        for place, caption in enumerate(sorted(ids, key=lambda one: digest("tested", one))):
            split_of[caption] = TEST if place < fifth else VALIDATION if place < 2 * fifth else TRAIN
    return split_of


def shown(source: ImageShards, part: int, parts: int) -> Iterator[Shown | Rejection]:
    split_of = splits(source)
    for address in addresses(source)[part::parts]:
        for group in read_shard(address, image_group.CONTRACT):
            caption = group.caption
            label = caption.concept if source.label == "concept" else caption.category
            for image, data in zip(group.images, group.pixels, strict=True):
                yield Shown(f"{caption.id}/{image.copy}", split_of[caption.id], (label,), data)
