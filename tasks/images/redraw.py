"""Render images again from their records alone, with the digests that they have now."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from data_specs import image_group
from data_specs.image_group import ImageGroup, Rendering
from data_specs.rejection import Rejection
from data_specs.shard import MadeBy, ShardAddress, ShardManifest
from data_specs.specs.images import ImagesSpec
from models.renderer.build import build_renderer
from models.renderer.protocol import Pixels, Renderer, RenderRequest
from tasks.engines import loaded
from tasks.events import Emit, ignore
from tasks.images.encoding import store
from tasks.shards import make_shard


def render_again(groups: Sequence[ImageGroup], renderer: Renderer, spec: ImagesSpec) -> Iterator[ImageGroup]:
    """Every image from its caption and recorded seed alone. The seed is of the attempt that was kept, so no image is judged.

    Takes as many captions at a time as a batch has images: batches are full, and a large shard's pixels are never all in
    memory.
    """
    size = renderer.batch_size
    for start in range(0, len(groups), size):
        part = groups[start : start + size]
        requests = [RenderRequest(group.caption.text, image.seed) for group in part for image in group.images]
        rendered = iter(renderer.render(requests))
        yield from (_with_pixels(group, rendered, renderer.rendering, spec) for group in part)


def _with_pixels(group: ImageGroup, rendered: Iterator[Pixels], rendering: Rendering, spec: ImagesSpec) -> ImageGroup:
    images, pixels = [], []
    for image in group.images:
        data, width, height = store(next(rendered), spec.save_size, image.format, spec.quality)
        images.append(replace(image, width=width, height=height, sha256=hashlib.sha256(data).hexdigest()))
        pixels.append(data)
    return replace(group, rendering=rendering, images=tuple(images), pixels=tuple(pixels))


def redraw_here(groups: Sequence[ImageGroup], spec: ImagesSpec, *, emit: Emit = ignore) -> list[ImageGroup]:
    """In an engine's process: the pipeline is loaded for the first call and kept for the others."""
    del emit  # nothing to report of so few images
    return list(render_again(groups, loaded(build_renderer, spec), spec))


def redraw_shard(
    groups: Sequence[ImageGroup],
    refused: Sequence[Rejection],
    address: ShardAddress,
    spec: ImagesSpec,
    made_by: MadeBy,
    *,
    emit: Emit = ignore,
) -> ShardManifest:
    """In an engine's process: a whole shard at another address. What was rejected stays so, for its recorded reason."""

    def outcomes() -> Iterator[ImageGroup | Rejection]:
        yield from render_again(groups, loaded(build_renderer, spec), spec)
        yield from refused

    return make_shard(address, image_group.CONTRACT, outcomes, made_by=made_by, emit=emit)
