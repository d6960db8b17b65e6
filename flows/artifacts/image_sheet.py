"""A sealed images room enters; one picture of a few captions with all their images leaves, as an address that holds it.

Prefect's pages show a `data:` address as it stands: nothing is served, and nothing is lost when a root moves.
"""

import base64
import io

from PIL import Image

from data_specs import image_group
from data_specs.image_group import ImageGroup, shown
from flows.artifacts.tables import aim
from flows.inspect.contact_sheet import Row, laid_out
from flows.report.galleries import chosen, some
from flows.report.sealed_stages import Walked

CAPTIONS, PICTURES = 16, 4
MOST_BYTES = 110_000
"""A third more once it is text: under 150 kB in the server's database, at every visit."""
QUALITIES = (85, 60, 35)


def picture_sheet(room: Walked) -> str | None:
    """None for a room without pictures."""
    found: list[ImageGroup] = list(some(room, image_group.CONTRACT))
    groups = chosen(found, CAPTIONS)
    if not groups:
        return None
    sheet = _small(laid_out([_row(group) for group in groups]))
    return f"data:image/webp;base64,{base64.b64encode(sheet).decode()}"


def _row(group: ImageGroup) -> Row:
    about = group.caption
    note = ", ".join(filter(None, (about.concept, about.strategy, aim(about))))
    return Row(about.text, note, shown(group).pixels[:PICTURES])


def _small(sheet: Image.Image) -> bytes:
    """As good as fits: first at lower quality, then at half the size."""
    while True:
        for quality in QUALITIES:
            stream = io.BytesIO()
            sheet.save(stream, "WEBP", quality=quality, method=2)
            if stream.tell() <= MOST_BYTES:
                return stream.getvalue()
        sheet = sheet.resize((sheet.width // 2, sheet.height // 2), Image.Resampling.LANCZOS)
