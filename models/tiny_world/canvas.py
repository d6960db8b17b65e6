"""Paint the parts that 128 px scenes are made of: gradients, clouds, ground, planks.

Pixels are float32 arrays (height, width, 3) in 0..1 until a piece needs Pillow's polygons; colours are 0..255 triples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIDE = 128
Pixels = NDArray[np.float32]
Colour = tuple[int, int, int]
Rng = np.random.Generator


def shade(colour: Sequence[float]) -> Pixels:
    """Return a 0..255 colour as a 0..1 vector."""
    return np.asarray(colour, np.float32) / np.float32(255)


def vary(rng: Rng, colour: Sequence[int], spread: int = 18) -> Colour:
    """Return ``colour`` with each channel moved by at most ``spread``."""
    moved = np.clip(np.asarray(colour) + rng.integers(-spread, spread + 1, 3), 0, 255)
    return int(moved[0]), int(moved[1]), int(moved[2])


def darker(colour: Colour, factor: float) -> Colour:
    """Return ``colour`` times ``factor``."""
    return int(colour[0] * factor), int(colour[1] * factor), int(colour[2] * factor)


def to_image(pixels: Pixels) -> Image.Image:
    """Return 0..1 pixels as an RGB image, clipped."""
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))


def to_pixels(image: Image.Image) -> Pixels:
    """Return an RGB image as 0..1 pixels."""
    return np.asarray(image, np.float32) / np.float32(255)


def gradient(top: Colour, bottom: Colour, height: int = SIDE) -> Pixels:
    """Return a vertical blend of two colours, (height, SIDE, 3)."""
    t = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    column: Pixels = (shade(top) * (1 - t) + shade(bottom) * t).astype(np.float32)
    return np.repeat(column, SIDE, axis=1)


def noise(rng: Rng, octaves: Sequence[int], height: int = SIDE, width: int = SIDE, stretch: float = 1.0) -> Pixels:
    """Return smooth value noise in about 0..1, (height, width): grids of ``octaves`` cells, each half as strong."""
    total = np.zeros((height, width), np.float32)
    weight, sum_of_weights = 1.0, 0.0
    for cells in octaves:
        grid = rng.random((max(2, cells), max(2, int(cells * stretch))), dtype=np.float32)
        total += weight * np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))
        sum_of_weights += weight
        weight *= 0.55
    return total / sum_of_weights


def sky(
    rng: Rng, top: Colour = (90, 160, 230), bottom: Colour = (205, 230, 250), clouds: float = 0.5, spread: int = 18
) -> Pixels:
    """Return a whole canvas of sky; ``clouds`` is how white its clouds get."""
    pixels = gradient(vary(rng, top, spread), vary(rng, bottom, spread))
    if clouds > 0:
        cover = np.clip((noise(rng, (3, 6, 12, 24), stretch=0.7) - 0.52) * 5, 0, 1) * clouds
        cover = (cover * np.linspace(1, 0, SIDE, dtype=np.float32)[:, None] ** 0.5)[..., None]
        pixels = np.asarray(pixels * (1 - cover) + cover, np.float32)
    return pixels


def lay_ground(
    rng: Rng,
    pixels: Pixels,
    horizon: float,
    far: Colour,
    near: Colour,
    roughness: float = 0.16,
    octaves: Sequence[int] = (6, 14, 32, 64),
) -> Pixels:
    """Cover everything below ``horizon`` (a fraction of the height) with mottled ground."""
    y = int(horizon * SIDE)
    mottle = 1 + (noise(rng, octaves, SIDE - y) - 0.5) * 2 * roughness
    pixels[y:] = gradient(vary(rng, far, 10), vary(rng, near, 14), SIDE - y) * mottle[..., None]
    return pixels


def planks(rng: Rng, height: int, colour: Colour, count: int) -> Pixels:
    """Return ``count`` horizontal wooden planks, (height, SIDE, 3)."""
    wood = np.broadcast_to(shade(vary(rng, colour, 16)), (height, SIDE, 3)).copy()
    for k in range(count):
        first, last = k * height // count, (k + 1) * height // count
        wood[first:last] *= rng.uniform(0.88, 1.1)
        wood[first : first + 1] *= 0.6
    grain = 1 + 0.35 * (noise(rng, (8, 30, 64), height, SIDE, stretch=0.15) - 0.5)
    return np.asarray(wood * grain[..., None], np.float32)


def checks(first: Colour, second: Colour, count: float) -> Pixels:
    """Return a chequer of two colours, ``count`` squares across."""
    steps = (np.arange(SIDE) // (SIDE / count)).astype(int)
    odd = ((steps[:, None] + steps[None, :]) % 2)[..., None]
    return np.asarray(np.where(odd == 1, shade(second), shade(first)), np.float32)


def brush(image: Image.Image) -> Any:
    """Return Pillow's drawing handle of ``image``."""
    return ImageDraw.Draw(image)
