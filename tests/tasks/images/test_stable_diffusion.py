"""A folder in Stable Diffusion 1.5's own layout through the stage as in SynCLR: DDIM, CFG 2.5, drawn at 512, kept at 256."""

import io

import pytest
from PIL import Image

from data_specs import caption as caption_record
from data_specs import image_group
from data_specs.specs.images import ImagesSpec
from data_specs.stage import Stage
from models.renderer.build import build_renderer
from support.builders import make_caption
from support.pipeline_folders import folder
from tasks.bundles import Work
from tasks.images.render import ImageInputs, render_shard
from tasks.images.render_queue import RenderQueue
from tasks.shards import make_shard, read_shard


@pytest.mark.slow(15)
def test_it_is_drawn_at_512_and_stored_at_256(tmp_path):
    spec = ImagesSpec(
        model=str(folder("sd15")),
        scheduler="DDIMScheduler",
        scheduler_options={"eta": 0.0},
        steps=2,
        per_caption=2,
        batch_size=2,
        save_size=256,
        format="png",
    )
    captions = [make_caption(name) for name in ("dog", "cat")]
    sources, images = (
        Stage(name=name, lineage=lineage, folder=str(tmp_path / name), count=1, facts={})
        for name, lineage in (("captions", "a"), ("images", "b"))
    )
    make_shard(sources.shard(0), caption_record.CONTRACT, lambda: captions)
    work = Work(images, (0,), spec, ImageInputs(sources, None), 0)
    manifest = render_shard(work, 0, RenderQueue(build_renderer(spec), spec))
    groups = list(read_shard(images.shard(0), image_group.CONTRACT, check_digest=True))
    assert (manifest.accepted, manifest.rejected) == (2, {}) and [group.caption for group in groups] == captions
    for group in groups:
        made = group.rendering
        assert (made.width, made.scheduler, made.guidance_scale, made.text_tokens) == (512, "DDIMScheduler", 2.5, 77)
        assert [(image.width, image.height) for image in group.images] == [(256, 256)] * 2
        assert all(Image.open(io.BytesIO(pixels)).size == (256, 256) for pixels in group.pixels)
    assert len({image.sha256 for group in groups for image in group.images}) == 4
