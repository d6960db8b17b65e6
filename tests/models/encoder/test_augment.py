"""Crops: resampling equals Pillow's, colours stay colours, draws follow from the generator."""

import numpy as np
import pytest
import torch
from PIL import Image

from models.encoder import augment
from models.encoder.augment import (
    CropRecipe,
    box_sides,
    crops,
    downsample,
    global_recipe,
    recolour,
    resampling,
    resized_crops,
)
from models.encoder.draws import Draws


def numbers(images: int, seed: int) -> Draws:
    return Draws(torch.Generator().manual_seed(seed), images)


@pytest.mark.parametrize("size", [16, 32, 80])
def test_resampling_a_whole_image_is_pillows_bicubic(size: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    expected = np.asarray(
        Image.fromarray(pixels.astype(np.float32), "F").resize((size, size), Image.Resampling.BICUBIC)
    )
    weights = resampling(torch.zeros(1), torch.ones(1), 32, size)[0]
    ours = weights @ torch.from_numpy(pixels).float() @ weights.T
    assert np.allclose(ours.numpy(), expected, atol=0.05)


def test_a_crop_is_the_part_of_the_image_it_claims_to_be() -> None:
    ramp = torch.linspace(0, 1, 64)[None, None, None, :].expand(200, 3, 64, 64).contiguous()
    found = resized_crops(ramp, CropRecipe(32, (0.1, 0.1)), torch.zeros(200, dtype=torch.bool), numbers(200, 0))
    spans = (found[:, 0, 0, -4] - found[:, 0, 0, 3]).abs() * 32 / 25
    # A tenth of the area with an aspect within 3/4 and 4/3: widths between 0.27 and 0.37 of the side.
    assert 0.25 < float(spans.min()) < 0.29
    assert 0.34 < float(spans.max()) < 0.39
    flipped = (found[:, 0, 0, -1] < found[:, 0, 0, 0]).float().mean()
    assert 0.35 < float(flipped) < 0.65


def test_boxes_are_as_large_as_torchvisions_random_resized_crop_makes_them() -> None:
    """A box that does not fit is drawn again: cut to the image, the mean area of the global crops would be 0.653."""
    for scale, area in (((0.32, 1.0), 0.600), ((0.05, 0.32), 0.185)):
        width, height = box_sides(200_000, scale, numbers(200_000, 0))
        assert float((width * height).mean()) == pytest.approx(area, abs=0.002)
        assert float(torch.maximum(width, height).max()) <= 1
        aspect = (width / height).log()
        assert float(aspect.abs().max()) <= 0.2877 and abs(float(aspect.mean())) < 0.002


def test_a_image_that_is_always_blurred_is_never_solarised(monkeypatch: pytest.MonkeyPatch) -> None:
    """SynCLR's variants A and B, a fair coin between them (reference, section 3.2)."""
    chosen: list[torch.Tensor] = []
    blurs, solarizes = augment.resized_crops, augment.solarize

    def blurring(images: torch.Tensor, recipe: CropRecipe, blurred: torch.Tensor, draws: Draws) -> torch.Tensor:
        chosen.append(blurred)
        return blurs(images, recipe, blurred, draws)

    def solarizing(images: torch.Tensor, inverted: torch.Tensor) -> torch.Tensor:
        chosen.append(inverted)
        return solarizes(images, inverted)

    monkeypatch.setattr(augment, "resized_crops", blurring)
    monkeypatch.setattr(augment, "solarize", solarizing)
    crops(torch.rand(8000, 3, 8, 8), global_recipe(8), numbers(8000, 0))
    blurred, inverted = chosen
    shares = [
        (first & second).float().mean().item() for first in (blurred, ~blurred) for second in (inverted, ~inverted)
    ]
    # blurred and solarised, blurred, solarised, neither: 0.5 x (0, 1, 0, 0) + 0.5 x (0.02, 0.08, 0.18, 0.72)
    assert shares == pytest.approx([0.01, 0.54, 0.09, 0.36], abs=0.02)


def test_gray_images_have_equal_channels_and_no_change_means_no_change() -> None:
    images, draws = torch.rand(4, 3, 8, 8), numbers(4, 0)
    still = CropRecipe(8, (1.0, 1.0), jitter_probability=0.0, gray_probability=0.0)
    assert torch.allclose(recolour(images, still, draws), images, atol=1e-3)
    gray = recolour(images, CropRecipe(8, (1.0, 1.0), jitter_probability=0.0, gray_probability=1.0), draws)
    assert torch.allclose(gray[:, 0], gray[:, 1], atol=1e-3)
    assert torch.allclose(gray[:, 0], gray[:, 2], atol=1e-3)


def test_downsampling_leaves_most_images_and_the_input_alone() -> None:
    images = torch.rand(400, 3, 16, 16)
    before = images.clone()
    changed = (downsample(images, numbers(400, 0), 0.05) != images).flatten(1).any(1).float().mean()
    assert 0.02 < float(changed) < 0.09
    assert torch.equal(images, before)


def test_the_same_generator_gives_the_same_crops_and_they_are_finite() -> None:
    images, recipe = torch.rand(16, 3, 64, 64), global_recipe(64)
    first, again = (crops(images, recipe, numbers(16, 5)) for _ in range(2))
    assert torch.equal(first, again)
    assert bool(first.isfinite().all())
    assert first.shape == (16, 3, 64, 64)


def test_a_crop_of_one_colour_is_that_colour_standardised() -> None:
    still = CropRecipe(8, (0.5, 1.0), jitter_probability=0.0, gray_probability=0.0, variants=((0.0, 0.0),))
    flat = torch.tensor([0.2, 0.4, 0.6])[None, :, None, None].expand(2, 3, 16, 16)
    expected = (torch.tensor([0.2, 0.4, 0.6]) - torch.tensor(augment.MEAN)) / torch.tensor(augment.STD)
    for crop in crops(flat, still, numbers(2, 0)):
        assert torch.allclose(crop, expected[:, None, None].expand(3, 8, 8), atol=1e-3)
