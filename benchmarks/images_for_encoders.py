"""A folder enters (of sealed image shards, or an empty one); addresses of image shards leave, made up where there are none."""

import hashlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from benchmarks.captions_for_images import captions
from data_specs import image_group
from data_specs.image_group import Image, ImageGroup, Rendering
from data_specs.model_identity import ModelIdentity
from data_specs.shard import ShardAddress
from tasks.shards import make_shard

SHARDS, CAPTIONS, COPIES, SIDE = 8, 64, 4, 64
RENDERING = Rendering(ModelIdentity("noise", "1"), "none", 1, 1.0, "", SIDE, SIDE, "float32")


def image_shards(empty: str) -> list[ShardAddress]:
    """Those in the folder that the command line names (the images room of a run), or pictures of coloured noise in `empty`."""
    if len(sys.argv) > 1:
        room = Path(sys.argv[1])
        count = len(list(room.glob("images-*.tar")))
        return [ShardAddress(folder=str(room), room="images", lineage=room.name, index=n) for n in range(count)]
    made = [ShardAddress(folder=empty, room="images", lineage="noise", index=index) for index in range(SHARDS)]
    for address in made:
        make_shard(address, image_group.CONTRACT, lambda at=address: _groups(at.index))  # type: ignore[misc]
    return made


def _groups(shard: int) -> Iterator[ImageGroup]:
    draw = np.random.default_rng(shard)
    for about in captions(SHARDS * CAPTIONS)[shard * CAPTIONS : (shard + 1) * CAPTIONS]:
        # Noise of eight pixels a side, enlarged: as large in JPEG as a picture of something, which plain noise is not.
        small = draw.integers(0, 256, (COPIES, 8, 8, 3), dtype=np.uint8)
        pixels = tuple(_jpeg(PillowImage.fromarray(one).resize((SIDE, SIDE))) for one in small)
        images = tuple(
            Image(copy, copy, 0, 0, SIDE, SIDE, "jpg", hashlib.sha256(data).hexdigest())
            for copy, data in enumerate(pixels)
        )
        yield ImageGroup(about, RENDERING, images, pixels)


def _jpeg(picture: PillowImage.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=90)
    return stream.getvalue()
