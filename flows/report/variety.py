"""The images of a run enter; how much pictures of one caption differ, shard by shard, leaves."""

from dataclasses import dataclass
from itertools import islice

from data_specs import image_group
from flows.report.galleries import SAMPLES, SHARDS
from flows.report.walked import Walked
from tasks.images.diversity import Diversity, diversity
from tasks.shards import read_shard


@dataclass(frozen=True, slots=True)
class Varied:
    """One shard, judged by its first groups; `share` is the distance of siblings as a share of that of others."""

    shard: str
    found: Diversity
    share: float | None


def variety(images: Walked | None) -> list[Varied]:
    """Of a few shards that are spread over the room; those without a group are left out."""
    rows = []
    for address in images.spread(SHARDS) if images else []:
        if found := diversity(list(islice(read_shard(address, image_group.CONTRACT), SAMPLES))):
            rows.append(Varied(address.stem, found, found.within / found.between if found.between else None))
    return rows
