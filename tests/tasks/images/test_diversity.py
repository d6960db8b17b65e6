"""Diversity of siblings against others, and near-duplicates, by a naive double loop."""

import itertools

import numpy as np
import pytest

from data_specs.specs.images import ImagesSpec
from models.renderer.fake import FakeRenderer
from support.builders import make_caption
from tasks.images.diversity import diversity, thumbnail
from tasks.images.render import render
from tasks.images.render_queue import RenderQueue

SPEC = ImagesSpec(engine="fake", format="png")
CAPTIONS = [make_caption(name, slot) for slot, name in enumerate(["dog", "cat", "owl"])]


class Tinted(FakeRenderer):
    """Every caption has a colour of its own; the first two images of the first caption are all but the same."""

    def render(self, requests):
        images = super().render(requests)
        for number, image in enumerate(images):
            image *= 0.1 if number != 1 else 0
            image += (number // 4) * 0.3 + (images[0] * 1.001 if number == 1 else 0)
        return images


def test_figures_are_those_of_a_naive_double_loop():
    groups = list(render(CAPTIONS, RenderQueue(Tinted(32), SPEC), SPEC, seed=0))
    within, between = [], []
    placed = [(number, thumbnail(data)) for number, group in enumerate(groups) for data in group.pixels]
    for (one, first), (other, second) in itertools.combinations(placed, 2):
        (within if one == other else between).append(np.sqrt(np.mean((first - second) ** 2)))
    found = diversity(groups)
    assert found.within == pytest.approx(np.mean(within), abs=1e-6)
    assert found.between == pytest.approx(np.mean(between), abs=1e-6)
    assert (found.groups, found.siblings, found.near) == (3, 18, sum(value < 0.02 for value in within))
    assert found.within < found.between / 5
    by_group = [np.mean(within[6 * number : 6 * number + 6]) for number in range(3)]
    assert found.apart == pytest.approx(by_group, abs=1e-6) and np.argmin(found.apart) == 0


def test_an_image_that_is_all_but_its_sibling_is_counted():
    class Twins(FakeRenderer):
        def render(self, requests):
            images = super().render(requests)
            images[1] = (images[0] + 0.01).clip(0, 1)
            return images

    assert diversity(list(render(CAPTIONS[:1], RenderQueue(Twins(), SPEC), SPEC, seed=0))).near == 1
    assert diversity(list(render(CAPTIONS, RenderQueue(FakeRenderer(), SPEC), SPEC, seed=0))).near == 0


def test_one_group_has_nothing_to_compare_with_and_none_has_no_figures():
    assert diversity(list(render(CAPTIONS[:1], RenderQueue(FakeRenderer(), SPEC), SPEC, seed=0))).between is None
    assert diversity([]) is None
