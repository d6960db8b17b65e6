"""The best of a grid: all of it, or the top of a hill with few looks."""

import pytest

from tasks.scores.search import best_place


@pytest.mark.parametrize("top", range(45))
def test_coarse_to_fine_finds_the_top_of_a_hill_with_few_looks(top: int) -> None:
    looked = []

    def score(place: int) -> float:
        looked.append(place)
        return -abs(place - top)

    assert best_place(score, 45, every=False).place == top
    assert len(looked) == len(set(looked)) <= 13


def test_every_place_is_looked_at_on_request_and_the_first_of_the_best_wins() -> None:
    score = [0, 1, 5, 2, 5, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0]
    assert best_place(lambda place: score[place], 15, every=True).place == 12
    for every in (False, True):
        assert best_place(lambda place: min(place, 0), 45, every=every).place == 0
    assert best_place(lambda place: float(place), 1, every=False).place == 0


@pytest.mark.parametrize("every", [False, True])
def test_an_end_of_the_grid_is_told_where_beyond_it_may_lie_a_better_place(every: bool) -> None:
    def at_edge(*scores: float) -> bool:
        return best_place(lambda place: scores[place], len(scores), every).at_edge

    assert at_edge(3, 2, 1) and at_edge(1, 2, 3)
    assert not at_edge(1, 3, 2)
    assert not at_edge(3, 3, 1), "as good beside it: nothing says that it gets better further on"
    assert not at_edge(2, 2, 2) and not at_edge(1), "nothing was chosen"
    assert at_edge(1, 3, 3, 4)
    assert best_place(lambda place: -place, 5, every).settings("lr", 0.5) == {"lr": 0.5, "lr_at_edge": 1.0}
    assert best_place(lambda place: -abs(place - 2), 5, every).settings("lr", 0.5) == {"lr": 0.5}
