"""Metadata rows of image groups enter; their pictures, how scores spread over them, and the best and the worst leave. Pure."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from data_specs.image_group import CLIP


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of one picture without its pixels."""

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
    """Of `n` numbers: their mean, the lowest and the highest."""

    n: int
    mean: float
    low: float
    high: float


def pictures_of(rows: Iterable[Mapping[str, Any]]) -> Iterator[Picture]:
    """Rows as dicts, their maps too, with at least the columns `id`, `text`, `concept` and `images`."""
    for row in rows:
        for image in row["images"]:
            yield Picture(
                caption=row["id"],
                copy=image["copy"],
                text=row["text"],
                concept=row["concept"],
                attempt=image["attempt"],
                fit=image["scores"].get(CLIP),
                unsafe=image["unsafe"],
            )


def passed_over(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Drawings that were not kept, by reason; rows as above, with the column `passed_over`."""
    return dict(Counter(drawn["reason"] for row in rows for drawn in row["passed_over"]).most_common())


def spread(pictures: Iterable[Picture]) -> Spread | None:
    """Of how well they fit their captions; None where no scorer was set."""
    values = [picture.fit for picture in pictures if picture.fit is not None]
    return Spread(len(values), math.fsum(values) / len(values), min(values), max(values)) if values else None


def by_concept(pictures: Iterable[Picture]) -> list[tuple[str, Spread]]:
    """Worst mean first."""
    found: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        found[picture.concept].append(picture)
    spreads = [(concept, of) for concept, each in found.items() if (of := spread(each))]
    return sorted(spreads, key=lambda entry: (entry[1].mean, entry[0]))


def extremes(pictures: Iterable[Picture], most: int) -> tuple[list[Picture], list[Picture]]:
    """Those that fit best and worst, at most `most` of each and one a caption; no picture is both, none is flagged as unsafe."""
    scored = [(picture.fit, picture.key, picture) for picture in pictures if picture.fit is not None]
    ranked = [picture for _, _, picture in sorted(scored) if not picture.unsafe]
    best, worst = _one_a_caption(reversed(ranked)), _one_a_caption(ranked)
    most = min(most, (len(best) + 1) // 2)
    chosen = {picture.key for picture in best[:most]}
    return best[:most], [picture for picture in worst[:most] if picture.key not in chosen]


def _one_a_caption(pictures: Iterable[Picture]) -> list[Picture]:
    first: dict[str, Picture] = {}
    for picture in pictures:
        first.setdefault(picture.caption, picture)
    return list(first.values())
