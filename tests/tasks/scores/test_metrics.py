"""Metrics against naive counting and scikit-learn, and intervals against what is known of them."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, precision_recall_curve

from tasks.scores.metrics import chance, map11, value_of, value_with_interval


def decided(rows: int = 60, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, rows)
    return (generator.normal(size=(rows, classes)) + np.eye(classes)[labels]).astype(np.float32), labels


def test_top1_and_mean_per_class_count_as_a_loop_does() -> None:
    decisions, labels = decided()
    labels[:30] = 0  # classes of unequal size
    right = [int(row.argmax()) == label for row, label in zip(decisions, labels, strict=True)]
    assert value_of("top1", decisions, labels) == sum(right) / 60
    assert value_of("mean_per_class", decisions, labels) == pytest.approx(
        balanced_accuracy_score(labels, decisions.argmax(1))
    )


def test_a_class_that_is_not_tested_counts_for_nothing() -> None:
    decisions, labels = decided()
    keep = labels != 2
    expected = [np.mean(decisions[labels == c].argmax(1) == c) for c in (0, 1, 3)]
    assert value_of("mean_per_class", decisions[keep], labels[keep]) == pytest.approx(np.mean(expected))


def test_map_is_vocs_eleven_points() -> None:
    generator = np.random.default_rng(1)
    labels = (generator.random((80, 3)) < 0.3).astype(np.int64)
    decisions = (generator.normal(size=(80, 3)) + labels).astype(np.float32)
    expected = []
    for place in range(3):
        precision, recall, _ = precision_recall_curve(labels[:, place], decisions[:, place])
        precision, recall = precision[:-1], recall[:-1]  # its last point is no image's
        expected.append(np.mean([max(precision[recall >= point - 1e-9]) for point in np.linspace(0, 1, 11)]))
    assert map11(decisions, labels) == pytest.approx(np.mean(expected))
    assert map11(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.int64)) == 1.0
    assert chance("map11", labels, 3) == pytest.approx(labels.mean())


def test_a_class_nowhere_in_the_test_has_no_precision() -> None:
    labels = np.array([[1, 0], [0, 0], [1, 0]])
    assert map11(np.array([[3, 0], [1, 1], [2, 2]], np.float32), labels) == 1.0
    # As the VOC devkit has it: of ten positives the seventh reaches recall 0.7, which in floats is a bit more than 7 / 10.
    ranked = np.array([1] * 7 + [0] * 30 + [1] * 3)[:, None]
    assert map11(-np.arange(40.0, dtype=np.float32)[:, None], ranked) == pytest.approx(0.795, abs=0.0005)
    assert np.isnan(map11(np.zeros((2, 2), np.float32), np.zeros((2, 2), np.int64)))
    rare = np.eye(40, 1, dtype=np.int64)  # one image in forty: many draws have none
    value, low, high = value_with_interval("map11", [rare.astype(np.float32)], rare, seed=0)
    assert (value, low, high) == (1.0, 1.0, 1.0)


def test_an_interval_over_images_is_about_the_binomials_and_the_same_each_time() -> None:
    decisions, labels = decided(rows=400)
    value, low, high = value_with_interval("top1", [decisions], labels, seed=3)
    half = 1.96 * (value * (1 - value) / 400) ** 0.5
    assert low < value < high
    assert (value - low, high - value) == pytest.approx((half, half), rel=0.35)
    assert value_with_interval("top1", [decisions], labels, seed=3) == (value, low, high)


def test_an_interval_over_repeats_is_students() -> None:
    repeats = [np.eye(2, dtype=np.float32)[[0] * right + [1] * (10 - right)] for right in (5, 6, 7)]
    value, low, high = value_with_interval("top1", repeats, np.zeros(10, np.int64), seed=0)
    assert value == pytest.approx(0.6)
    assert high - value == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-4)  # t of 2 degrees of freedom
    assert value - low == pytest.approx(high - value)


def test_what_is_always_right_is_so_in_every_draw() -> None:
    assert value_with_interval("top1", [np.eye(3, dtype=np.float32)], np.arange(3), seed=0) == (1.0, 1.0, 1.0)
