"""Find the image shards that an encoder's benchmark reads: those of a run, or noise that is sealed for it."""

import hashlib
import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from benchmarks.captions_for_images import rule_captions
from data_specs import image_group
from data_specs.ids import Lineage
from data_specs.image_group import Image, ImageGroup, Rendering
from data_specs.model_identity import ModelIdentity
from data_specs.stage import Stage
from tasks.shards import make_shard

SHARDS, CAPTIONS, COPIES, SIDE = 8, 64, 4, 64
RENDERING = Rendering(ModelIdentity("noise", "1"), "none", 1, 1.0, "", SIDE, SIDE, "float32")


def image_stage(of_run: str | None, empty: str) -> Stage:
    """The images stage of a run, by its folder, or `SHARDS` shards of coloured noise, sealed in the folder `empty`."""
    if of_run:
        folder = Path(of_run)
        count = len(list(folder.glob("images-??????.json")))
        return Stage(name="images", lineage=Lineage(folder.name), folder=of_run, count=count, facts={})
    stage = Stage(name="images", lineage=Lineage("noise"), folder=empty, count=SHARDS, facts={})
    for address in stage.shards():
        make_shard(address, image_group.CONTRACT, partial(_groups, address.index))
    return stage


def _groups(shard: int) -> Iterator[ImageGroup]:
    draw = np.random.default_rng(shard)
    for about in rule_captions(SHARDS * CAPTIONS)[shard * CAPTIONS : (shard + 1) * CAPTIONS]:
        # Noise of eight pixels a side, enlarged: as large in JPEG as an image of something, unlike plain noise.
        small = draw.integers(0, 256, (COPIES, 8, 8, 3), dtype=np.uint8)
        pixels = tuple(_jpeg(PillowImage.fromarray(one).resize((SIDE, SIDE))) for one in small)
        images = tuple(
            Image(copy, copy, 0, 0, SIDE, SIDE, "jpg", hashlib.sha256(data).hexdigest())
            for copy, data in enumerate(pixels)
        )
        yield ImageGroup(about, RENDERING, images, pixels)


def _jpeg(image: PillowImage.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)
    return stream.getvalue()
