"""Read the images stage of a run as a data set; a caption's concept or category is the class of its images."""

import re
from collections import defaultdict
from collections.abc import Iterator

from data_specs import image_group
from data_specs.benchmark_image import TEST, TRAIN, VALIDATION
from data_specs.ids import Lineage, digest
from data_specs.rejection import Rejection
from data_specs.specs.embeddings import ImageShards
from data_specs.stage import Stage
from tasks.embeddings.raw_sample import RawSample
from tasks.embeddings.refusals import refusal
from tasks.shards import manifests, read_rows, read_shard, sealed_shards
from tasks.storage import names

VERSION = 2
"""Raised when the same shards would be split otherwise."""
FIFTH = 5


def images_stage(source: ImageShards) -> Stage:
    """The stage up to its last sealed shard. Raises SpecError where no shard is sealed."""
    folder = source.path.rstrip("/")
    found = [int(shard[1]) for name in names(folder) if (shard := re.fullmatch(r"images-(\d{6,})\.json", name))]
    if not found:
        raise refusal(source, f"no sealed image shards in {folder!r}; give <root>/images/<lineage> of a run")
    lineage = Lineage(folder.rsplit("/", 1)[-1])
    return Stage(name="images", lineage=lineage, folder=folder, count=max(found) + 1, facts={})


def fingerprint(source: ImageShards) -> str:
    sealed = (manifest for manifest in manifests(images_stage(source)) if manifest)
    return digest(VERSION, *(f"{manifest.index} {manifest.files['tar'].sha256}" for manifest in sealed))


def splits(source: ImageShards) -> dict[str, str]:
    """The split of each caption, for all its images, which are too alike to be in two splits.

    A fifth of each class's captions is for the test and a fifth for validation, rounded down, so that no class is tested
    that is not in the training split.
    """
    captions: dict[str, list[str]] = defaultdict(list)
    for address in sealed_shards(images_stage(source)):
        rows = read_rows(address)
        for caption, label in zip(rows["id"].to_pylist(), rows[source.label].to_pylist(), strict=True):
            captions[label].append(caption)
    split_of: dict[str, str] = {}
    for ids in captions.values():
        fifth = len(ids) // FIFTH
        for place, caption in enumerate(sorted(ids, key=lambda each: digest("tested", each))):
            split_of[caption] = TEST if place < fifth else VALIDATION if place < 2 * fifth else TRAIN
    return split_of


def read_samples(source: ImageShards, part: int, parts: int) -> Iterator[RawSample | Rejection]:
    """Read every `parts`-th shard from `part` on."""
    split_of = splits(source)
    for address in sealed_shards(images_stage(source))[part::parts]:
        for group in read_shard(address, image_group.CONTRACT):
            caption = group.caption
            label = caption.concept if source.label == "concept" else caption.category
            for image, data in zip(group.images, group.pixels, strict=True):
                yield RawSample(f"{caption.id}/{image.copy}", split_of[caption.id], (label,), data)
