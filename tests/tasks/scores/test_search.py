"""The best of a grid: all of it, or the top of a hill with few looks."""

import pytest

from tasks.scores.search import best_place


@pytest.mark.parametrize("top", range(45))
def test_coarse_to_fine_finds_the_top_of_a_hill_with_few_looks(top: int) -> None:
    looked = []

    def score(place: int) -> float:
        looked.append(place)
        return -abs(place - top)

    assert best_place(score, 45, every=False) == top
    assert len(looked) == len(set(looked)) <= 13


def test_every_place_is_looked_at_on_request_and_the_first_of_the_best_wins() -> None:
    score = [0, 1, 5, 2, 5, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0]
    assert best_place(lambda place: score[place], 15, every=True) == 12
    for every in (False, True):
        assert best_place(lambda place: min(place, 0), 45, every=every) == 0
    assert best_place(lambda place: float(place), 1, every=False) == 0
