"""Read the first images of a few shards, small, as pages hold them; none that is flagged as unsafe."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from data_specs import image_group
from data_specs.shard import ShardAddress
from flows.inspect.readable import readable
from flows.report.galleries import GalleryImage, images_of
from flows.runs.plan import RunPlan
from flows.site.addresses import shard_page
from flows.site.site import Site
from tasks.shards import read_shard, sealed_shards

IMAGES = 4
SHARDS = 24
"""Of many, those that are shown by their images; the others have a cell in the grid of their stage."""


@dataclass(frozen=True, slots=True)
class ShardTile:
    """A shard of images, and one image of each of its first captions; none where it cannot be read."""

    shard: ShardAddress
    page: str
    images: tuple[GalleryImage, ...]


def first_images(shard: ShardAddress) -> tuple[GalleryImage, ...]:
    """One image of each of the first captions. Raises ContractError if the shard is damaged."""
    groups = islice(read_shard(shard, image_group.CONTRACT), IMAGES)
    return tuple(image for group in groups for image in images_of(group)[:1])


def images_of_run(plan: RunPlan) -> tuple[GalleryImage, ...]:
    """Those of its first sealed shard."""
    first = sealed_shards(plan.stages["images"])[:1]
    return (readable(first_images, first[0])[0] or ()) if first else ()


def tiles(site: Site, plan: RunPlan, shards: Sequence[ShardAddress]) -> list[ShardTile]:
    """At most `SHARDS` of some image shards, spread over them; no tile for a shard of another stage."""
    images = plan.stages["images"]
    here = [shard for shard in shards if shard.stage == images.name and shard.index in site.linked(images)]
    count = min(SHARDS, len(here))
    chosen = (here[number * len(here) // count] for number in range(count))
    return [ShardTile(each, shard_page(plan.name, each), readable(first_images, each)[0] or ()) for each in chosen]
