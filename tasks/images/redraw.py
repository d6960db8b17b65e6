"""Records of pictures enter; the same pictures leave, drawn anew from what the records hold, with the digests they have now."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from data_specs import image_group
from data_specs.image_group import ImageGroup, Rendering
from data_specs.rejection import Rejection
from data_specs.run import ImagesSpec
from data_specs.shard import ShardAddress, ShardManifest
from models.renderer.build import build_renderer
from models.renderer.protocol import Drawing, Pixels, Renderer
from tasks.engines import loaded
from tasks.images.encoding import store
from tasks.shards import make_shard


def redraw(groups: Sequence[ImageGroup], renderer: Renderer, spec: ImagesSpec) -> Iterator[ImageGroup]:
    """Every picture from its caption and its recorded seed alone: the attempt that was kept, so none is judged again.

    As many captions at a time as a batch has pictures: batches are full, and a large shard's pixels are never all in memory.
    """
    size = renderer.batch_size
    for start in range(0, len(groups), size):
        part = groups[start : start + size]
        wanted = [Drawing(group.caption.text, image.seed) for group in part for image in group.images]
        drawn = iter(renderer.render(wanted))
        yield from (_redrawn(group, drawn, renderer.rendering, spec) for group in part)


def _redrawn(group: ImageGroup, drawn: Iterator[Pixels], rendering: Rendering, spec: ImagesSpec) -> ImageGroup:
    images, pixels = [], []
    for image in group.images:
        data, width, height = store(next(drawn), spec.save_size, image.format, spec.quality)
        images.append(replace(image, width=width, height=height, sha256=hashlib.sha256(data).hexdigest()))
        pixels.append(data)
    return replace(group, rendering=rendering, images=tuple(images), pixels=tuple(pixels))


def redraw_here(groups: Sequence[ImageGroup], spec: ImagesSpec) -> list[ImageGroup]:
    """In an engine's process: the pipeline is loaded for the first call and kept for the others."""
    return list(redraw(groups, loaded(build_renderer, spec), spec))


def redraw_shard(
    groups: Sequence[ImageGroup], refused: Sequence[Rejection], address: ShardAddress, spec: ImagesSpec, *, run: str
) -> ShardManifest:
    """In an engine's process: a whole shard at another address. What was refused stays refused, for its recorded reason."""

    def outcomes() -> Iterator[ImageGroup | Rejection]:
        yield from redraw(groups, loaded(build_renderer, spec), spec)
        yield from refused

    return make_shard(address, image_group.CONTRACT, outcomes, run=run)
