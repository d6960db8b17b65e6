"""Lay out a few captions with all their images as one image, in an address that holds its bytes.

Prefect's pages show a `data:` address as it stands: nothing is served, and nothing is lost when a root moves.
"""

import base64
import io

from PIL import Image

from data_specs import image_group
from data_specs.image_group import ImageGroup, shown
from data_specs.stage import Stage
from flows.inspect.contact_sheet import Row, laid_out
from flows.report.galleries import first_samples, prompt_target, sample

CAPTIONS, IMAGES = 16, 4
MOST_BYTES = 110_000
"""A third more once it is text: under 150 kB in the server's database, at every stage run."""
QUALITIES = (85, 60, 35)


def image_sheet(stage: Stage) -> str | None:
    """None for a stage without images."""
    found: list[ImageGroup] = list(first_samples(stage, image_group.CONTRACT))
    groups = sample(found, CAPTIONS)
    if not groups:
        return None
    sheet = _small(laid_out([_row(group) for group in groups]))
    return f"data:image/webp;base64,{base64.b64encode(sheet).decode()}"


def _row(group: ImageGroup) -> Row:
    about = group.caption
    note = ", ".join(filter(None, (about.concept, about.strategy, prompt_target(about))))
    where = f"images-{about.shard:06d}, key {about.id}"  # as `synclr show` and `synclr trace` take them
    return Row(about.text, f"{note}; {where}", shown(group).pixels[:IMAGES])


def _small(sheet: Image.Image) -> bytes:
    """Encode as well as fits `MOST_BYTES`: first at lower quality, then at half the size."""
    while True:
        for quality in QUALITIES:
            stream = io.BytesIO()
            sheet.save(stream, "WEBP", quality=quality, method=2)
            if stream.tell() <= MOST_BYTES:
                return stream.getvalue()
        sheet = sheet.resize((sheet.width // 2, sheet.height // 2), Image.Resampling.LANCZOS)
