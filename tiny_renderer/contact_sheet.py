"""A pipeline and captions enter, pictures leave, or one sheet of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps


def draw_captions(
    pipeline: Any, captions: Sequence[str], *, per_caption: int, steps: int, guidance: float, seed: int, batch: int = 32
) -> list[Image.Image]:
    """Return ``per_caption`` pictures of each caption, caption by caption; picture k of a caption has seed ``seed + k``."""
    wanted = [(caption, seed + 7919 * row + k) for row, caption in enumerate(captions) for k in range(per_caption)]
    pictures: list[Image.Image] = []
    for first in range(0, len(wanted), batch):
        part = wanted[first : first + batch]
        result = pipeline(
            [caption for caption, _ in part],
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=[torch.Generator().manual_seed(number) for _, number in part],
        )
        pictures.extend(result.images)
    return pictures


def tile(pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    """Return one sheet of equally large pictures, row by row."""
    width, height = pictures[0].size
    sheet = Image.new("RGB", (columns * width, -(-len(pictures) // columns) * height))
    for k, picture in enumerate(pictures):
        sheet.paste(picture, (k % columns * width, k // columns * height))
    return sheet


def save_small(sheet: Image.Image, path: Path, most: int = 1_000_000) -> int:
    """Write a PNG of less than ``most`` bytes, with as many bits of each colour as that leaves; return its bytes."""
    for bits in range(8, 0, -1):
        ImageOps.posterize(sheet, bits).save(path, optimize=True)
        if (size := path.stat().st_size) < most:
            break
    return size
