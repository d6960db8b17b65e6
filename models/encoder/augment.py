"""Cut augmented, normalised crops out of uint8 images, whole batches at once, on tensors.

Legend: N images, S side in pixels. The steps, probabilities and strengths are SynCLR's (section 3.4, Table 12,
reference `augmentations.py`) with StableRep's downsampling before everything else. Lengths that the papers give in
pixels of a 224 crop (blur) or a 256 image (downsampling) are kept as shares of the side, so 64-pixel images see
the same relative change.

Cropping, resizing, flipping and blurring are two weight matrices per image; colour changes one 3x3 matrix and an offset
(hue turns chroma in YIQ). Kornia's modules do these steps without antialiasing, and on a shared CPU took
200-380 ms for 256 global 64-pixel crops and 46-83 ms for 256 local 32-pixel ones, against 54-79 and 24-39 here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from models.encoder.draws import Draws

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
LUMA = (0.299, 0.587, 0.114)
TRIALS = 10
"""Boxes that are drawn for a crop, of which the first that fits counts."""
RGB_TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@dataclass(frozen=True, slots=True)
class CropRecipe:
    """One kind of crop. `scale` is the share of the image's area; a probability is of one image being changed.

    `variants` are probabilities of blurring and of solarising; a fair die picks an image's. A blur's deviation is 0.1 to 2
    pixels of a crop of `blur_side`, and as much in proportion of this one.
    """

    size: int
    scale: tuple[float, float]
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.2, 0.1)
    jitter_probability: float = 0.8
    gray_probability: float = 0.2
    variants: tuple[tuple[float, float], ...] = ((0.5, 0.0),)
    blur_side: int = 224


def global_recipe(size: int, scale: tuple[float, float] = (0.32, 1.0)) -> CropRecipe:
    """Blur always and never solarise (variant A), or blur one in ten and solarise one in five (variant B)."""
    return CropRecipe(size=size, scale=scale, variants=((1.0, 0.0), (0.1, 0.2)))


def local_recipe(size: int, scale: tuple[float, float], blur_side: int) -> CropRecipe:
    return CropRecipe(size=size, scale=scale, blur_side=blur_side)


def to_unit(pixels_N3SS: Tensor) -> Tensor:
    return pixels_N3SS.to(torch.float32) / 255.0


def normalise(images_N3SS: Tensor) -> Tensor:
    """Standardise unit-range images by ImageNet's mean and deviation of each channel; evaluation must use the same."""
    mean, std = images_N3SS.new_tensor(MEAN), images_N3SS.new_tensor(STD)
    return (images_N3SS - mean[:, None, None]) / std[:, None, None]


def downsample(
    images_N3SS: Tensor, draws: Draws, probability: float = 0.05, shares: Sequence[float] = (0.25, 0.5)
) -> Tensor:
    """Take resolution from some images: to a quarter or half of their side (64 or 128 of 256 pixels) and back, antialiased."""
    drawn_N = draws.rand(len(images_N3SS))
    which_N = draws.integers(len(shares), len(images_N3SS))
    images_N3SS = images_N3SS.clone()
    side = images_N3SS.shape[-1]
    for i, share in enumerate(shares):
        chosen = ((drawn_N < probability) & (which_N == i)).nonzero().flatten()
        if len(chosen):
            small = F.interpolate(images_N3SS[chosen], size=int(side * share), mode="bilinear", antialias=True)
            images_N3SS[chosen] = F.interpolate(small, size=side, mode="bilinear")
    return images_N3SS


def crops(images_N3SS: Tensor, recipe: CropRecipe, draws: Draws) -> Tensor:
    """Cut one random crop of each image, [N, 3, size, size], normalised. Random numbers depend on N and the generator alone."""
    count = len(images_N3SS)
    blur_N, solarize_N = torch.tensor(recipe.variants)[draws.integers(len(recipe.variants), count)].unbind(1)
    cropped = resized_crops(images_N3SS, recipe, draws.rand(count) < blur_N, draws)
    coloured = recolour(cropped, recipe, draws)
    return normalise(solarize(coloured, draws.rand(count) < solarize_N))


def uniform(count: int, low: float, high: float, draws: Draws) -> Tensor:
    return low + (high - low) * draws.rand(count)


def resized_crops(images_N3SS: Tensor, recipe: CropRecipe, blurred_N: Tensor, draws: Draws) -> Tensor:
    """Random resized crop (aspect 3/4 to 4/3, inside the image), a flip for half of them, a Gaussian blur for the chosen.

    Each axis is one weight matrix per image, so all of it is two matrix products. The blur may come before the colours
    because both are linear.
    """
    count, side = len(images_N3SS), images_N3SS.shape[-1]
    width_N, height_N = box_sides(count, recipe.scale, draws)
    left_N = draws.rand(count) * (1.0 - width_N)
    top_N = draws.rand(count) * (1.0 - height_N)
    flip_N = draws.rand(count) < 0.5
    sigma_N = uniform(count, 0.1, 2.0, draws) * recipe.size / recipe.blur_side

    # Numbers are drawn on the CPU, alike for all devices; matrices are made where the images are.
    here = images_N3SS.device
    rows_NOS = resampling(top_N.to(here), height_N.to(here), side, recipe.size)
    columns_NOS = resampling(left_N.to(here), width_N.to(here), side, recipe.size)
    columns_NOS = torch.where(flip_N.to(here)[:, None, None], columns_NOS.flip(1), columns_NOS)
    chosen = blurred_N.nonzero().flatten()
    smooth_MOO = gaussian(sigma_N[chosen].to(here), recipe.size)
    chosen = chosen.to(here)
    rows_NOS[chosen] = torch.bmm(smooth_MOO, rows_NOS[chosen])
    columns_NOS[chosen] = torch.bmm(smooth_MOO, columns_NOS[chosen])

    columns_NSO = columns_NOS.to(images_N3SS).transpose(1, 2)
    narrow_N3SO = torch.bmm(images_N3SS.flatten(1, 2), columns_NSO).view(count, 3, side, recipe.size)
    return torch.einsum("nps,ncso->ncpo", rows_NOS.to(images_N3SS), narrow_N3SO)


def box_sides(count: int, scale: tuple[float, float], draws: Draws) -> tuple[Tensor, Tensor]:
    """Width and height [N] of crops as shares of a square image's side, drawn as torchvision's `RandomResizedCrop` does.

    A box that is wider or higher than the image is drawn again, and cut to it would be larger: of scale 0.32 to 1 the mean area
    is 0.600, with sides cut at 1 it was 0.653. Of one crop in ten million no box fits: it is the whole image.
    """
    area_TN = uniform(TRIALS * count, *scale, draws).view(TRIALS, count)
    root_aspect_TN = torch.exp(0.5 * uniform(TRIALS * count, -0.28768207, 0.28768207, draws)).view(TRIALS, count)
    width_TN, height_TN = area_TN.sqrt() * root_aspect_TN, area_TN.sqrt() / root_aspect_TN
    fits_TN = (width_TN <= 1) & (height_TN <= 1)
    first_1N, any_N = fits_TN.int().argmax(0, keepdim=True), fits_TN.any(0)
    width_N, height_N = (sides_TN.gather(0, first_1N)[0] for sides_TN in (width_TN, height_TN))
    return torch.where(any_N, width_N, 1.0), torch.where(any_N, height_N, 1.0)


def resampling(start_N: Tensor, length_N: Tensor, side: int, size: int) -> Tensor:
    """Weights [N, size, side] of bicubic, antialiased resampling of an interval; start and length are shares of the side.

    The kernel widens when an output pixel spans several input pixels, as Pillow's does, so shrinking does not alias.
    """
    span_N = length_N * side / size  # input pixels an output pixel
    here = start_N.device
    centres_NO = (start_N * side)[:, None] + (torch.arange(size, device=here) + 0.5) * span_N[:, None]
    distance_NOS = (torch.arange(side, device=here) + 0.5 - centres_NO[..., None]).abs() / span_N.clamp(min=1.0)[
        :, None, None
    ]
    d, d2 = distance_NOS, distance_NOS**2
    near, far = (1.5 * d - 2.5) * d2 + 1.0, ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0  # Keys' cubic, a = -1/2
    weights_NOS = torch.where(d < 1.0, near, torch.where(d < 2.0, far, torch.zeros_like(d)))
    return weights_NOS / weights_NOS.sum(-1, keepdim=True)


def gaussian(sigma_N: Tensor, size: int) -> Tensor:
    """Blur matrices [N, size, size]; rows sum to 1, so edges do not darken."""
    places_O = torch.arange(size, device=sigma_N.device)
    squares = (places_O[:, None] - places_O[None, :]).float() ** 2
    return torch.softmax(-squares / (2.0 * sigma_N[:, None, None] ** 2), dim=-1)


def recolour(images_N3SS: Tensor, recipe: CropRecipe, draws: Draws) -> Tensor:
    """Brightness, contrast, saturation, hue, then gray for some: composed into one affine map of colours per image."""
    count = len(images_N3SS)
    brightness, contrast, saturation, hue = recipe.jitter
    jittered_N = draws.rand(count) < recipe.jitter_probability
    gray_N = draws.rand(count) < recipe.gray_probability
    one_N = torch.ones(count)
    bright_N = torch.where(jittered_N, uniform(count, 1 - brightness, 1 + brightness, draws), one_N)
    contrast_N = torch.where(jittered_N, uniform(count, 1 - contrast, 1 + contrast, draws), one_N)
    saturation_N = torch.where(jittered_N, uniform(count, 1 - saturation, 1 + saturation, draws), one_N)
    turn_N = torch.where(jittered_N, uniform(count, -hue, hue, draws), 0.0 * one_N) * 2.0 * torch.pi
    saturation_N = torch.where(gray_N, 0.0 * one_N, saturation_N)

    to_yiq = torch.tensor(RGB_TO_YIQ)
    turn_N33 = torch.zeros(count, 3, 3)
    turn_N33[:, 0, 0] = 1.0
    turn_N33[:, 1, 1] = turn_N33[:, 2, 2] = saturation_N * torch.cos(turn_N)
    turn_N33[:, 2, 1] = saturation_N * torch.sin(turn_N)
    turn_N33[:, 1, 2] = -turn_N33[:, 2, 1]
    # Saturation 0 keeps luma alone: gray. Contrast blends with the image's mean luma, an offset of its own.
    gain_N = bright_N * contrast_N
    matrix_N33 = (torch.linalg.inv(to_yiq) @ turn_N33 @ to_yiq * gain_N[:, None, None]).to(images_N3SS)
    mean_luma_N = images_N3SS.mean((2, 3)) @ images_N3SS.new_tensor(LUMA)
    offset_N = mean_luma_N * (bright_N * (1.0 - contrast_N)).to(images_N3SS)
    flat_N3P = images_N3SS.flatten(2)
    return torch.baddbmm(offset_N[:, None, None], matrix_N33, flat_N3P).view_as(images_N3SS).clamp_(0.0, 1.0)


def solarize(images_N3SS: Tensor, chosen_N: Tensor) -> Tensor:
    """Colours above one half are inverted in the chosen images (in place)."""
    chosen = chosen_N.nonzero().flatten().to(images_N3SS.device)
    if len(chosen):
        some = images_N3SS[chosen]
        images_N3SS[chosen] = torch.where(some >= 0.5, 1.0 - some, some)
    return images_N3SS
