"""Encode float pixels, or name the fault for which an image is rendered again. Pure."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_specs.image_group import Format

FLAT = 1.0
"""Standard deviation, in 8-bit steps, under which an image is one colour (black from a safety filter, say)."""
PILLOW = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}


def fault(pixels: NDArray[np.float32]) -> str | None:
    """`not_finite` or `constant_colour`; None for an image that may be kept."""
    if not np.isfinite(pixels).all():
        return "not_finite"
    if float(pixels.std(axis=(0, 1)).max()) * 255 < FLAT:
        return "constant_colour"
    return None


def store(pixels: NDArray[np.float32], save_size: int | None, form: Format, quality: int) -> tuple[bytes, int, int]:
    """Encoded bytes, width, height. Downscaled with an antialiasing filter (StableRep stores 256 of 512), never upscaled."""
    image = Image.fromarray((pixels.clip(0, 1) * 255).round().astype(np.uint8))
    if save_size and save_size < max(image.size):
        scale = save_size / max(image.size)
        image = image.resize(
            (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.LANCZOS
        )
    stream = io.BytesIO()
    options = {} if form == "png" else {"quality": quality}
    image.save(stream, PILLOW[form], **options)
    return stream.getvalue(), image.width, image.height
