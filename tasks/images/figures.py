"""Metadata rows of image groups enter; their pictures, how scores spread over them, and the best and the worst leave. Pure."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SAFETY = "safety"
"""The only score that is no measure of how well a picture shows its caption."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of one picture without its pixels."""

    caption: str
    copy: int
    text: str
    concept: str
    attempt: int
    scores: Mapping[str, float]

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
            yield Picture(row["id"], image["copy"], row["text"], row["concept"], image["attempt"], image["scores"])


def fit(pictures: Iterable[Picture]) -> str | None:
    """The score that says how well pictures show their captions; None where no scorer was set."""
    return min((name for picture in pictures for name in picture.scores if name != SAFETY), default=None)


def spread(pictures: Iterable[Picture], score: str) -> Spread | None:
    """None if no picture has this score."""
    values = [picture.scores[score] for picture in pictures if score in picture.scores]
    return Spread(len(values), math.fsum(values) / len(values), min(values), max(values)) if values else None


def by_concept(pictures: Iterable[Picture], score: str) -> list[tuple[str, Spread]]:
    """Worst mean first."""
    found: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        found[picture.concept].append(picture)
    spreads = [(concept, of) for concept, each in found.items() if (of := spread(each, score))]
    return sorted(spreads, key=lambda entry: (entry[1].mean, entry[0]))


def extremes(pictures: Sequence[Picture], score: str, most: int) -> tuple[list[Picture], list[Picture]]:
    """The best and the worst, at most `most` of each and one a caption; no picture is both."""
    ranked = sorted(
        (picture for picture in pictures if score in picture.scores),
        key=lambda picture: (picture.scores[score], picture.key),
    )
    best, worst = _one_a_caption(reversed(ranked)), _one_a_caption(ranked)
    most = min(most, (len(best) + 1) // 2)
    chosen = {picture.key for picture in best[:most]}
    return best[:most], [picture for picture in worst[:most] if picture.key not in chosen]


def _one_a_caption(pictures: Iterable[Picture]) -> list[Picture]:
    first: dict[str, Picture] = {}
    for picture in pictures:
        first.setdefault(picture.caption, picture)
    return list(first.values())
