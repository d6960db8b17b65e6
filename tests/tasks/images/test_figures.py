"""Figures of records: means by concept, the best and the worst, one picture a caption."""

import pytest

from tasks.images.figures import Picture, Spread, by_concept, extremes, fit, pictures_of, spread


def picture(caption: str, copy: int, concept: str = "dog", **scores: float) -> Picture:
    return Picture(caption, copy, f"A {concept}", concept, 0, scores)


PICTURES = [
    picture("a", 0, clip=0.9, safety=-1),
    picture("a", 1, clip=0.8, safety=-1),
    picture("b", 0, "cat", clip=0.1, safety=-1),
    picture("b", 1, "cat", clip=0.5, safety=2),
    picture("c", 0, "cat", clip=0.2),
    picture("d", 0, "owl"),
]


def test_rows_become_their_pictures():
    images = [{"copy": copy, "attempt": copy, "scores": {"clip": 0.5}} for copy in (0, 1)]
    found = list(pictures_of([{"id": "k", "text": "A dog", "concept": "dog", "images": images}]))
    assert [each.key for each in found] == ["k/0", "k/1"] and found[1].attempt == 1


def test_safety_is_no_measure_of_fit_and_none_is_set_where_none_was_asked():
    assert fit(PICTURES) == "clip"
    assert fit([picture("a", 0, safety=0.3)]) is None and fit([]) is None


def test_spread_and_means_by_concept_are_those_of_a_sum_by_hand():
    assert spread(PICTURES, "clip") == Spread(5, pytest.approx(0.5), 0.1, 0.9)
    assert spread(PICTURES, "other") is None
    found = by_concept(PICTURES, "clip")
    assert [concept for concept, _ in found] == ["cat", "dog"], "worst first; an owl has no score"
    assert found[0][1] == Spread(3, pytest.approx(0.8 / 3), 0.1, 0.5)


def test_best_and_worst_are_one_a_caption_and_never_the_same_picture():
    best, worst = extremes(PICTURES, "clip", 12)
    assert [each.key for each in best] == ["a/0", "b/1"]
    assert [each.key for each in worst] == ["b/0", "c/0"]
    only = [picture("a", 0, clip=0.5)]
    assert extremes(only, "clip", 12) == (only, [])
    assert extremes([], "clip", 12) == ([], [])
