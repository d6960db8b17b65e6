"""Summarise the scores in metadata rows of image groups: spread, worst concepts, best and worst images. Pure."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from data_specs.image_group import CLIP


@dataclass(frozen=True, slots=True)
class ImageScore:
    """The metadata of one image that summaries need."""

    caption: str
    copy: int
    text: str
    concept: str
    attempt: int
    fit: float | None
    unsafe: bool

    @property
    def key(self) -> str:
        return f"{self.caption}/{self.copy}"


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, lowest and highest of `n` numbers."""

    n: int
    mean: float
    low: float
    high: float


def images_of(rows: Iterable[Mapping[str, Any]]) -> Iterator[ImageScore]:
    """Rows as dicts, their maps too, with at least the columns `id`, `text`, `concept` and `images`."""
    for row in rows:
        for image in row["images"]:
            yield ImageScore(
                caption=row["id"],
                copy=image["copy"],
                text=row["text"],
                concept=row["concept"],
                attempt=image["attempt"],
                fit=image["scores"].get(CLIP),
                unsafe=image["unsafe"],
            )


def passed_over(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Counts images that were not kept, by reason; rows as above, with the column `passed_over`."""
    return dict(Counter(image["reason"] for row in rows for image in row["passed_over"]).most_common())


def spread(images: Iterable[ImageScore]) -> Spread | None:
    """The spread of their fit to their captions; None where no scorer was set."""
    values = [image.fit for image in images if image.fit is not None]
    return Spread(len(values), math.fsum(values) / len(values), min(values), max(values)) if values else None


def by_concept(images: Iterable[ImageScore]) -> list[tuple[str, Spread]]:
    """Worst mean first."""
    found: dict[str, list[ImageScore]] = defaultdict(list)
    for image in images:
        found[image.concept].append(image)
    spreads = [(concept, of) for concept, each in found.items() if (of := spread(each))]
    return sorted(spreads, key=lambda entry: (entry[1].mean, entry[0]))


def extremes(images: Iterable[ImageScore], most: int) -> tuple[list[ImageScore], list[ImageScore]]:
    """The images that fit best and worst, at most `most` each and one a caption; none is in both, none is flagged as unsafe."""
    scored = [(image.fit, image.key, image) for image in images if image.fit is not None]
    ranked = [image for _, _, image in sorted(scored) if not image.unsafe]
    best, worst = _one_a_caption(reversed(ranked)), _one_a_caption(ranked)
    most = min(most, (len(best) + 1) // 2)
    chosen = {image.key for image in best[:most]}
    return best[:most], [image for image in worst[:most] if image.key not in chosen]


def _one_a_caption(images: Iterable[ImageScore]) -> list[ImageScore]:
    first: dict[str, ImageScore] = {}
    for image in images:
        first.setdefault(image.caption, image)
    return list(first.values())
