"""Draw captions with a pipeline, and tile the images into one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps


def draw_captions(
    pipeline: Any, captions: Sequence[str], *, per_caption: int, steps: int, guidance: float, seed: int, batch: int = 32
) -> list[Image.Image]:
    """Return ``per_caption`` images of each caption, caption by caption; image k of a caption has seed ``seed + k``."""
    requests = [(caption, seed + 7919 * row + k) for row, caption in enumerate(captions) for k in range(per_caption)]
    images: list[Image.Image] = []
    for first in range(0, len(requests), batch):
        part = requests[first : first + batch]
        result = pipeline(
            [caption for caption, _ in part],
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=[torch.Generator().manual_seed(number) for _, number in part],
        )
        images.extend(result.images)
    return images


def tile(images: Sequence[Image.Image], columns: int) -> Image.Image:
    """Return one sheet of equally large images, row by row."""
    width, height = images[0].size
    sheet = Image.new("RGB", (columns * width, -(-len(images) // columns) * height))
    for k, image in enumerate(images):
        sheet.paste(image, (k % columns * width, k // columns * height))
    return sheet


def save_small(sheet: Image.Image, path: Path, most: int = 1_000_000) -> int:
    """Write a PNG of less than ``most`` bytes, with as many bits of each colour as that leaves; return its bytes."""
    for bits in range(8, 0, -1):
        ImageOps.posterize(sheet, bits).save(path, optimize=True)
        if (size := path.stat().st_size) < most:
            break
    return size
