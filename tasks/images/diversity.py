"""Measure how much images of one caption differ, compared with images of different captions. Pure.

An image's thumbnail is its mean colours on a 16 x 16 grid (RGB in [0, 1]); the distance of two images is the root mean
square of the difference of their thumbnails, d(a, b) = sqrt(mean((a - b)^2)). `within` is the mean of d over all pairs of
siblings, `between` over all pairs of images of different captions. A `within` near 0 means that all images of a caption
are the same; one near `between` means that they have no more in common than any two images.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_specs.image_group import ImageGroup

GRID = 16
NEAR = 0.02
"""Siblings nearer than this (5 of 255 steps) are near-duplicates: the same image but for its noise."""


@dataclass(frozen=True, slots=True)
class Diversity:
    """`near` of `siblings` pairs are near-duplicates; `between` is None for a single group.

    `apart` is the mean distance of siblings, group by group.
    """

    groups: int
    within: float
    between: float | None
    near: int
    siblings: int
    apart: tuple[float, ...]


def diversity(groups: Sequence[ImageGroup]) -> Diversity | None:
    """None where there is no group."""
    if not groups:
        return None
    thumbnails_ND = np.stack([thumbnail(data) for group in groups for data in group.pixels])
    caption_N = np.repeat(np.arange(len(groups)), [len(group.pixels) for group in groups])
    first, second = np.triu_indices(len(caption_N), k=1)
    squares_N = (thumbnails_ND**2).sum(axis=1)
    squared_NN = squares_N[:, None] + squares_N[None, :] - 2 * thumbnails_ND @ thumbnails_ND.T
    distance_P = np.sqrt(np.maximum(squared_NN[first, second], 0) / thumbnails_ND.shape[1])
    sibling_P = caption_N[first] == caption_N[second]
    siblings, others = distance_P[sibling_P], distance_P[~sibling_P]
    of_P = caption_N[first][sibling_P]
    apart_G = np.bincount(of_P, siblings, len(groups)) / np.bincount(of_P, minlength=len(groups))
    return Diversity(
        groups=len(groups),
        within=float(siblings.mean()),
        between=float(others.mean()) if len(others) else None,
        near=int((siblings < NEAR).sum()),
        siblings=len(siblings),
        apart=tuple(apart_G.tolist()),
    )


def thumbnail(data: bytes) -> NDArray[np.float64]:
    """Mean colours on the grid, flattened."""
    with Image.open(io.BytesIO(data)) as image:
        small = image.convert("RGB").resize((GRID, GRID), Image.Resampling.BOX)
    return np.asarray(small, np.float64).ravel() / 255
