"""Turn an image of whatever kind into 8-bit RGB, as a person sees it, or say why it cannot be done. Pure.

Pillow's own conversion clips more than 8 bits to white, and shows what lies beneath transparent pixels.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BACKDROP = (255, 255, 255)
"""The colour behind transparent pixels: white, as pages have."""
EIGHT_BITS = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV")
SIXTEEN_BITS = 65535
TIFF_BITS, TIFF_PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0
LONGEST = 16
"""Times its shorter side. Of a longer image the middle is taken before it is resized: a line of 4,000 pixels would become
200,000,000."""


class PixelKindError(ValueError):
    """The numbers of an image do not say which of them is black and which is white."""


def as_rgb(image: Image.Image) -> Image.Image:
    """16 bits are scaled by the range of the format, transparent pixels are laid over white; the first frame counts.

    Raises PixelKindError for floats and 32-bit integers; what Pillow raises for files that are damaged.
    """
    if image.mode == "I" or image.mode.startswith("I;16"):
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, (*BACKDROP, 255)), over).convert("RGB")
    if image.mode in EIGHT_BITS:
        return image.convert("RGB")
    raise _unknown(image)


def _unknown(image: Image.Image) -> PixelKindError:
    return PixelKindError(f"its {image.mode!r} pixels have no black and white to scale by; save it with 8 or 16 bits")


def _eight_bits(image: Image.Image) -> NDArray[np.uint8]:
    tags = getattr(image, "tag_v2", {})
    if image.mode == "I" and image.format not in ("PNG", "PPM"):  # which Pillow reads as 0 to 65535
        raise _unknown(image)
    bits = tags.get(TIFF_BITS, (16,))
    white = 2 ** int(bits[0] if isinstance(bits, tuple) else bits) - 1 if image.mode != "I" else SIXTEEN_BITS
    scaled = np.asarray(image).astype(np.float32) / white
    if tags.get(TIFF_PHOTOMETRIC) == WHITE_IS_ZERO:
        scaled = 1 - scaled
    found: NDArray[np.uint8] = np.round(255 * scaled.clip(0, 1)).astype(np.uint8)
    return found


def is_constant(image: Image.Image) -> bool:
    """All pixels have one colour."""
    return all(low == high for low, high in np.reshape(image.getextrema(), (-1, 2)))


def resize_and_crop(image: Image.Image, resize: int, size: int) -> Image.Image:
    """Resample the shorter side to `resize`, then crop the central square of `size`."""
    image = _middle(image)
    width, height = image.size
    short = min(width, height)
    wide, high = max(resize, resize * width // short), max(resize, resize * height // short)
    resampled = image.resize((wide, high), Image.Resampling.BICUBIC)
    left, top = round((wide - size) / 2), round((high - size) / 2)
    return resampled.crop((left, top, left + size, top + size))


def _middle(image: Image.Image) -> Image.Image:
    width, height = image.size
    most = LONGEST * min(width, height)
    wide, high = min(width, most), min(height, most)
    left, top = (width - wide) // 2, (height - high) // 2
    return image.crop((left, top, left + wide, top + high)) if (wide, high) != image.size else image
