"""The loss between images and captions against a naive double loop, and CLIP's own form of it."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.losses.image_text import image_text
from models.losses.multi_positive import positive_mask


def one_way(anchors: Tensor, keys: Tensor, of_anchors: list[int], of_keys: list[int], scale: float) -> float:
    losses = []
    for anchor, own in zip(anchors, of_anchors, strict=True):
        scores = [scale * float(torch.cosine_similarity(anchor, key, dim=0)) for key in keys]
        normaliser = math.log(sum(math.exp(score) for score in scores))
        positives = [score for score, other in zip(scores, of_keys, strict=True) if own == other]
        losses.append(normaliser - sum(positives) / len(positives))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("seed", range(8))
def test_equals_a_double_loop_over_random_sizes(seed: int) -> None:
    """Some captions are there twice, and captions have one to three images."""
    generator = torch.Generator().manual_seed(seed)
    captions, width = (
        int(torch.randint(2, 7, (), generator=generator)),
        int(torch.randint(2, 9, (), generator=generator)),
    )
    classes_C = torch.randint(0, captions - 1, (captions,), generator=generator) if seed % 2 else torch.arange(captions)
    each = torch.randint(1, 4, (captions,), generator=generator)
    classes_N = classes_C.repeat_interleave(each)
    images = torch.randn(len(classes_N), width, generator=generator, dtype=torch.float64)
    texts = torch.randn(captions, width, generator=generator, dtype=torch.float64)
    scale = torch.tensor(float(torch.rand((), generator=generator)) * 20 + 1, dtype=torch.float64)
    masks = positive_mask(classes_N, classes_C), positive_mask(classes_C, classes_N)
    of_images, of_texts = classes_N.tolist(), classes_C.tolist()
    expected = one_way(images, texts, of_images, of_texts, float(scale)) / 2
    expected += one_way(texts, images, of_texts, of_images, float(scale)) / 2
    assert float(image_text(images, texts, images, texts, masks, scale)) == pytest.approx(expected)


def test_one_image_a_caption_is_clips_symmetric_cross_entropy() -> None:
    generator = torch.Generator().manual_seed(0)
    images, texts = (torch.randn(6, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    classes = torch.arange(6)
    logits = 14.0 * F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T
    expected = (F.cross_entropy(logits, classes) + F.cross_entropy(logits.T, classes)) / 2
    found = image_text(
        images, texts, images, texts, (positive_mask(classes, classes),) * 2, torch.tensor(14.0, dtype=torch.float64)
    )
    assert float(found) == pytest.approx(float(expected))
