"""Figures of records: means by concept, the best and the worst, one image a caption, none that is unsafe."""

from dataclasses import replace

import pytest

from tasks.images.score_summary import ImageScore, Spread, by_concept, extremes, images_of, passed_over, spread


def image(caption: str, copy: int, concept: str = "dog", fit: float | None = None) -> ImageScore:
    return ImageScore(caption, copy, f"A {concept}", concept, 0, fit, unsafe=False)


IMAGES = [
    image("a", 0, fit=0.9),
    image("a", 1, fit=0.8),
    image("b", 0, "cat", 0.1),
    image("b", 1, "cat", 0.5),
    image("c", 0, "cat", 0.2),
    image("d", 0, "owl"),
]


def test_rows_become_their_images_and_what_was_not_kept_is_counted():
    images = [
        {"copy": copy, "attempt": copy, "scores": {"clip": 0.5, "safety": 0.1}, "unsafe": True} for copy in (0, 1)
    ]
    lost = [{"reason": reason} for reason in ("reranked", "unsafe", "reranked")]
    rows = [{"id": "k", "text": "A dog", "concept": "dog", "images": images, "passed_over": lost}]
    found = list(images_of(rows))
    assert [each.key for each in found] == ["k/0", "k/1"]
    assert (found[1].attempt, found[1].fit, found[1].unsafe) == (1, 0.5, True)
    assert passed_over(rows) == {"reranked": 2, "unsafe": 1}
    images[0]["scores"] = {"safety": 0.1}
    assert next(images_of(rows)).fit is None, "safety is no measure of fit"


def test_spread_and_means_by_concept_are_those_of_a_sum_by_hand():
    assert spread(IMAGES) == Spread(5, pytest.approx(0.5), 0.1, 0.9)
    assert spread(IMAGES[5:]) is None
    found = by_concept(IMAGES)
    assert [concept for concept, _ in found] == ["cat", "dog"], "worst first; an owl has no score"
    assert found[0][1] == Spread(3, pytest.approx(0.8 / 3), 0.1, 0.5)


def test_best_and_worst_are_one_a_caption_and_never_the_same_image():
    best, worst = extremes(IMAGES, 12)
    assert [each.key for each in best] == ["a/0", "b/1"]
    assert [each.key for each in worst] == ["b/0", "c/0"]
    assert extremes(IMAGES[:1], 12) == (IMAGES[:1], [])
    assert extremes([], 12) == ([], [])


def test_an_unsafe_image_is_neither_best_nor_worst():
    best, worst = extremes([replace(IMAGES[0], unsafe=True), *IMAGES[1:]], 12)
    assert best[0].key == "a/1" and all(each.key != "a/0" for each in worst)
