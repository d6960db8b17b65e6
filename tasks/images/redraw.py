"""Records of pictures enter; the same pictures leave, drawn anew from what the records hold, with the digests they have now."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from data_specs import image_group
from data_specs.image_group import ImageGroup
from data_specs.rejection import Rejection
from data_specs.run import ImagesSpec
from data_specs.shard import ShardAddress, ShardManifest
from models.renderer.build import build_renderer
from models.renderer.protocol import Drawing, Renderer
from tasks.engines import loaded
from tasks.images.pictures import store
from tasks.shards import make_shard


def redraw(groups: Sequence[ImageGroup], renderer: Renderer, spec: ImagesSpec) -> list[ImageGroup]:
    """Every picture from its caption and its recorded seed alone: the attempt that was kept, so none is judged again."""
    wanted = [(group, image) for group in groups for image in group.images]
    drawn = iter(renderer.render([Drawing(group.caption.text, image.seed) for group, image in wanted]))
    made = []
    for group in groups:
        images, pixels = [], []
        for image in group.images:
            data, width, height = store(next(drawn), spec.save_size, image.format, spec.quality)
            digest = hashlib.sha256(data).hexdigest()
            images.append(replace(image, width=width, height=height, sha256=digest))
            pixels.append(data)
        made.append(replace(group, rendering=renderer.rendering, images=tuple(images), pixels=tuple(pixels)))
    return made


def redraw_here(groups: Sequence[ImageGroup], spec: ImagesSpec) -> list[ImageGroup]:
    """In an engine's process: the pipeline is loaded for the first call and kept for the others."""
    return redraw(groups, loaded(build_renderer, spec), spec)


def redraw_shard(
    groups: Sequence[ImageGroup], refused: Sequence[Rejection], address: ShardAddress, spec: ImagesSpec, *, run: str
) -> ShardManifest:
    """In an engine's process: a whole shard at another address. What was refused stays refused, for its recorded reason."""

    def outcomes() -> Iterator[ImageGroup | Rejection]:
        yield from redraw_here(groups, spec)
        yield from refused

    return make_shard(address, image_group.CONTRACT, outcomes, run=run)
