"""Search a grid for the place with the best score. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

AT_EDGE = "_at_edge"
"""Behind the name of a hyper-parameter, in the settings of a score: an end of its grid was chosen."""


@dataclass(frozen=True, slots=True)
class BestPlace:
    """A place of a grid; `at_edge`: it is an end, and better than the place beside it, so that a wider grid may be better."""

    place: int
    at_edge: bool

    def settings(self, name: str, value: float) -> dict[str, float]:
        """The chosen value under its name, and that it is an end of the grid where it is."""
        return {name: float(value)} | ({f"{name}{AT_EDGE}": 1.0} if self.at_edge else {})


def best_place(score: Callable[[int], float], count: int, every: bool) -> BestPlace:
    """The first of the best places. `every` scores all places; else coarse to fine, each step half as wide as the one before.

    Coarse to fine (as CLIP's linear probes were tuned) finds a single maximum with 13 of 45 places scored.
    """
    scores: dict[int, float] = {}

    def evaluate(place: int) -> None:
        if 0 <= place < count and place not in scores:
            scores[place] = score(place)

    stride = 1
    while not every and stride * 8 < count:
        stride *= 2
    for place in [*range(0, count, stride), count - 1]:
        evaluate(place)
    while stride > 1:
        stride //= 2
        best = _first_best(scores)
        evaluate(best - stride)
        evaluate(best + stride)
    best = _first_best(scores)
    beside = 1 if best == 0 else best - 1
    return BestPlace(best, best in (0, count - 1) and beside in scores and scores[best] > scores[beside])


def _first_best(scores: dict[int, float]) -> int:
    return min(scores, key=lambda place: (-scores[place], place))
