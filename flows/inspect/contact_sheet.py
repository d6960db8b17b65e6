"""Lay out encoded images in rows with a line of text each, as one PNG to look at."""

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

SMALLEST = 128
"""Pixels a side under which an image is enlarged by a whole factor, so that its own pixels stay visible."""
LARGEST = 256
GAP, APART = 8, 24
"""Pixels between the images of a row, and between rows."""
TEXT = 14
INK, FAINT, PAPER = (24, 26, 30), (110, 114, 122), (255, 255, 255)
MOST_ROWS = 64


@dataclass(frozen=True, slots=True)
class Row:
    """One caption with its images; `note` is a fainter second line."""

    title: str
    note: str
    images: Sequence[bytes]


def contact_sheet(rows: Sequence[Row]) -> bytes:
    """PNG of at most `MOST_ROWS` rows. Raises ValueError for none."""
    stream = io.BytesIO()
    laid_out(rows).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def laid_out(rows: Sequence[Row]) -> Image.Image:
    """At most `MOST_ROWS` rows, in as many columns as keep the sheet about square. Raises ValueError for none."""
    shown = [_block(row) for row in rows[:MOST_ROWS] if row.images]
    if not shown:
        raise ValueError("a contact sheet needs at least one image")
    width, height = max(block.width for block in shown), max(block.height for block in shown)
    columns = min(range(1, len(shown) + 1), key=lambda n: abs(n * width - -(-len(shown) // n) * height))
    deep = -(-len(shown) // columns)
    sheet = Image.new("RGB", (columns * (width + APART) + APART, deep * (height + APART) + APART), PAPER)
    for number, block in enumerate(shown):
        place = (APART + number % columns * (width + APART), APART + number // columns * (height + APART))
        sheet.paste(block, place)
    return sheet


def _block(row: Row) -> Image.Image:
    images = [_sized(data) for data in row.images]
    width = max(320, sum(image.width + GAP for image in images) - GAP)
    font = ImageFont.load_default(TEXT)
    letters = max(20, round(width / (font.getlength("abcdefghij klmnopqrst") / 21)))
    written = [(line, INK) for line in textwrap.wrap(row.title, letters)[:3]]
    written += [(line, FAINT) for line in textwrap.wrap(row.note, letters)[:2]]
    top = len(written) * (TEXT + 4) + 2
    block = Image.new("RGB", (width, top + max(image.height for image in images)), PAPER)
    pen = ImageDraw.Draw(block)
    for number, (line, colour) in enumerate(written):
        pen.text((0, number * (TEXT + 4)), line, colour, font)
    left = 0
    for image in images:
        block.paste(image, (left, top))
        left += image.width + GAP
    return block


def _sized(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    longest = max(image.size)
    if longest < SMALLEST:
        factor = -(-SMALLEST // longest)
        return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    if longest > LARGEST:
        image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return image
