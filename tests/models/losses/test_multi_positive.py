"""The contrastive loss against a naive double loop, and the rules of who is compared with whom."""

import math

import pytest
import torch

from models.losses.multi_positive import multi_positive, positive_mask


def naive(
    anchors: torch.Tensor,
    keys: torch.Tensor,
    classes: tuple[list[int], list[int]],
    images: tuple[list[int], list[int]] | None,
    temperature: float,
) -> float:
    losses = []
    for a, anchor in enumerate(anchors):
        candidates = [k for k in range(len(keys)) if images is None or images[0][a] != images[1][k]]
        scores = {k: float(torch.cosine_similarity(anchor, keys[k], dim=0)) / temperature for k in candidates}
        normaliser = math.log(sum(math.exp(score) for score in scores.values()))
        positives = [k for k in candidates if classes[0][a] == classes[1][k]]
        if positives:
            losses.append(-sum(scores[k] - normaliser for k in positives) / len(positives))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("exclude_own", [True, False])
def test_equals_a_double_loop_over_random_sizes(seed: int, exclude_own: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    count, width = int(torch.randint(3, 12, (), generator=generator)), int(torch.randint(2, 9, (), generator=generator))
    anchors = torch.randn(count, width, generator=generator, dtype=torch.float64)
    keys = torch.randn(count + 2, width, generator=generator, dtype=torch.float64)
    classes = torch.arange(count) % 3, torch.randint(0, 3, (count + 2,), generator=generator)
    images = torch.arange(count), torch.arange(count + 2)
    mask = positive_mask(*classes, *(images if exclude_own else ()))
    expected = naive(
        anchors,
        keys,
        (classes[0].tolist(), classes[1].tolist()),
        (images[0].tolist(), images[1].tolist()) if exclude_own else None,
        0.2,
    )
    assert float(multi_positive(anchors, keys, mask, 0.2)) == pytest.approx(expected, rel=1e-9)


def test_a_crop_is_never_compared_with_its_own_image() -> None:
    classes, images = torch.tensor([7, 7, 9, 9]), torch.tensor([3, 1, 2, 0])
    mask = positive_mask(classes, classes, images, images)
    assert not mask.candidate_AK.diagonal().any()
    assert not mask.positive_AK.diagonal().any()
    assert mask.positive_AK.sum(1).tolist() == [1, 1, 1, 1]


def test_two_captions_of_one_class_are_positives_wherever_they_stand() -> None:
    classes = torch.tensor([5, 8, 5])
    assert positive_mask(classes, classes).positive_AK.tolist() == [
        [True, False, True],
        [False, True, False],
        [True, False, True],
    ]


def test_an_anchor_without_a_sibling_is_left_out_and_nothing_becomes_nan() -> None:
    features, images = torch.randn(3, 4, requires_grad=True), torch.arange(3)
    full = positive_mask(torch.tensor([1, 1, 2]), torch.tensor([1, 1, 2]), images, images)
    pair = multi_positive(features, features.detach(), full, 0.1)
    alone = multi_positive(
        features[:2], features.detach(), type(full)(full.positive_AK[:2], full.candidate_AK[:2]), 0.1
    )
    assert float(pair) == pytest.approx(float(alone))
    none = positive_mask(images, images, images, images)
    loss = multi_positive(features, features.detach(), none, 0.1)
    loss.backward()
    assert float(loss) == 0.0
    assert features.grad is not None and bool(features.grad.isfinite().all())


def test_half_precision_features_are_compared_in_float32() -> None:
    features = torch.randn(6, 8).bfloat16()
    classes = torch.arange(3).repeat(2)
    assert multi_positive(features, features, positive_mask(classes, classes), 0.08).dtype == torch.float32
