"""Images rendered again from their records alone are the recorded ones, whichever try was kept."""

from dataclasses import replace

import numpy as np

from data_specs import image_group
from data_specs.ids import image_seed
from data_specs.specs.images import ImagesSpec
from models.renderer.fake import FakeRenderer
from support.builders import make_caption
from tasks.images.redraw import render_again
from tasks.images.render import render
from tasks.images.render_queue import RenderQueue

SPEC = ImagesSpec(engine="fake", format="png", save_size=8)
CAPTIONS = [make_caption(name, slot) for slot, name in enumerate(["dog", "cat"])]


class Faulty(FakeRenderer):
    """Draws NaN where the second image of the first caption is tried first."""

    def render(self, requests):
        images = super().render(requests)
        for request, image in zip(requests, images, strict=True):
            if request.seed == image_seed(0, CAPTIONS[0].id, 1, 0):
                image[:] = np.nan
        return images


def test_groups_come_out_of_their_records_bit_by_bit_without_a_faulty_try_again():
    groups = list(render(CAPTIONS, RenderQueue(Faulty(), SPEC), SPEC, seed=0))
    assert groups[0].images[1].attempt == 1
    records = [replace(group, pixels=()) for group in groups]
    assert list(render_again(records, FakeRenderer(), SPEC)) == groups


def test_an_image_is_drawn_alone_from_its_metadata_row():
    group = next(iter(render(CAPTIONS, RenderQueue(FakeRenderer(), SPEC), SPEC, seed=0)))
    row = image_group.row(group)
    row["images"] = [image | {"scores": dict(image["scores"])} for image in row["images"]]
    record = image_group.from_row(row)
    assert record == replace(group, pixels=())
    [alone] = render_again([image_group.part(record, 2)], FakeRenderer(), SPEC)
    assert (alone.images, alone.pixels) == ((group.images[2],), (group.pixels[2],))


def test_other_pixels_have_another_digest():
    groups = [replace(group, pixels=()) for group in render(CAPTIONS, RenderQueue(FakeRenderer(), SPEC), SPEC, seed=0)]
    [drawn, _] = render_again(groups, FakeRenderer(24), SPEC)
    assert drawn.images[0].sha256 != groups[0].images[0].sha256 and drawn.rendering.width == 24
