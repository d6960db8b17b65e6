"""Scenes: every name can be drawn, a seed fixes the pixels, and what the world has not is refused."""

import time
from itertools import product

import numpy as np
import pytest
from PIL import Image

from data_specs.errors import SpecError
from models.tiny_world.scenes import CONCEPT, OTHER, RELATIONS, Scene, draw, draw_with_masks
from models.tiny_world.sprites import evaluation_sheets, training_sheets
from models.tiny_world.textures import TEXTURES
from models.tiny_world.world import read_world
from tiny_renderer.sampling import framed_close, sample_scene, scene_seed

WORLD = read_world()


def pixels(scene: Scene, seed: int = 0) -> np.ndarray:
    return np.asarray(draw(scene, training_sheets(), seed))


def test_the_world_has_the_promised_size_and_every_style_every_concept() -> None:
    assert (len(WORLD.concepts), len(WORLD.places), len(WORLD.textures), len(WORLD.relations)) == (192, 21, 12, 10)
    assert WORLD.relations == RELATIONS
    sheets = {**training_sheets(), **evaluation_sheets()}
    assert len(sheets) == 8
    for sheet in sheets.values():
        assert tuple(sheet) == WORLD.names()
        assert all(max(sprite.size) == 64 for sprite in sheet.values())


def test_every_place_texture_and_relation_is_drawn() -> None:
    scenes = [Scene("noto", "dog", place) for place in WORLD.places]
    scenes += [Scene("noto", None, None, texture=texture) for texture in TEXTURES]
    scenes += [Scene("noto", "dog", "beach", relation, "car") for relation in RELATIONS]
    for scene in scenes:
        image = pixels(scene)
        assert image.shape == (64, 64, 3)
        assert image.std() > 1 or scene.texture == "checkered"


def test_a_seed_fixes_the_pixels_and_another_changes_them() -> None:
    scene = Scene("fluent-3d", "cat", "farm", "behind", "door")
    assert np.array_equal(pixels(scene, 5), pixels(scene, 5))
    assert not np.array_equal(pixels(scene, 5), pixels(scene, 6))


def test_close_framing_lets_a_concept_fill_the_frame_near_its_middle() -> None:
    sprite = {"noto": {"ball": Image.new("RGBA", (64, 64), (255, 0, 255, 255))}}
    for place, most in (("plain background", 10), ("meadow", 14)):
        for seed in range(20):
            image = np.asarray(draw(Scene("noto", "ball", place), sprite, seed, close=True)).astype(int)
            rows, columns = np.nonzero((image[..., 0] > 230) & (image[..., 1] < 60) & (image[..., 2] > 230))
            assert 0.5 < (rows.max() - rows.min()) / 64 < 1 and 0.5 < (columns.max() - columns.min()) / 64 <= 1
            assert abs((rows.max() + rows.min()) / 2 - 32) < most and abs((columns.max() + columns.min()) / 2 - 32) < 9


def test_a_mask_says_which_pixels_show_which_concept() -> None:
    red, blue = (Image.new("RGBA", (64, 64), colour) for colour in ((255, 0, 0, 255), (0, 0, 255, 255)))
    sprites = {"noto": {"ball": red, "box": blue}}
    for relation in RELATIONS:
        drawn = draw_with_masks(Scene("noto", "ball", "meadow", relation, "box"), sprites, 3)
        pixels, shows = np.asarray(drawn.image).astype(int), np.asarray(drawn.shows)
        assert np.array_equal(pixels, np.asarray(draw(Scene("noto", "ball", "meadow", relation, "box"), sprites, 3)))
        for label, (strong, weak) in {CONCEPT: (0, 2), OTHER: (2, 0)}.items():
            of_its_colour = (pixels[..., strong] > 200) & (pixels[..., weak] < 60) & (pixels[..., 1] < 60)
            assert of_its_colour.sum() > 60, relation
            assert (shows[of_its_colour] == label).mean() > 0.97 and (of_its_colour[shows == label]).mean() > 0.8, (
                relation
            )
    assert not np.asarray(draw_with_masks(Scene("noto", None, "beach"), sprites, 0).shows).any()


def test_close_framing_changes_a_concept_alone_only() -> None:
    for scene in (Scene("noto", "cat", "farm", "on", "door"), Scene("noto", None, "farm")):
        assert np.array_equal(pixels(scene), np.asarray(draw(scene, training_sheets(), 0, close=True)))
    assert 0.75 < np.mean([framed_close(scene_seed("training", n)) for n in range(1000)]) < 0.85


def test_opposite_relations_swap_the_two() -> None:
    """What stands on top of a image differs from what lies at its foot: a red and a yellow thing tell them apart."""

    def redness_above(relation: str) -> float:
        rows = []
        for seed in range(8):
            image = pixels(Scene("noto", "tomato", "plain background", relation, "lemon"), seed).astype(float)
            red = (image[..., 0] > 150) & (image[..., 1] < 100)
            rows.append(np.nonzero(red)[0].mean())
        return float(np.mean(rows))

    for upper, lower in (("above", "below"), ("over", "under")):
        assert redness_above(upper) < 26 < 38 < redness_above(lower)


@pytest.mark.parametrize(
    "scene",
    [
        Scene("noto", "unicycle", "beach"),
        Scene("noto", "dog", "moon"),
        Scene("crayon", "dog", "beach"),
        Scene("noto", "dog", "beach", "beyond", "car"),
        Scene("noto", "dog", "beach", "behind"),
        Scene("noto", None, None),
        Scene("noto", None, None, texture="velvet"),
    ],
)
def test_what_the_world_has_not_is_refused(scene: Scene) -> None:
    with pytest.raises(SpecError):
        draw(scene, training_sheets(), 0)


def test_a_scene_takes_at_most_12_ms_of_one_core() -> None:
    scenes = [sample_scene(WORLD, tuple(training_sheets()), seed) for seed in range(60)]
    best = min(_cpu_seconds(scenes) for _ in range(2))
    assert best / len(scenes) < 0.012


def _cpu_seconds(scenes: list[Scene]) -> float:
    started = time.process_time()
    for seed, scene in enumerate(scenes):
        draw(scene, training_sheets(), seed)
    return time.process_time() - started


def test_splits_share_no_seed_and_all_kinds_of_scene_occur() -> None:
    seeds = {(split, scene_seed(split, n)) for split, n in product(("training", "held-out"), range(500))}
    assert len({seed for _, seed in seeds}) == 1000
    scenes = [sample_scene(WORLD, ("noto",), scene_seed("training", n)) for n in range(500)]
    related = sum(scene.relation is not None for scene in scenes) / 500
    assert 0.15 < related < 0.3
    assert any(scene.texture for scene in scenes) and any(scene.concept is None and scene.place for scene in scenes)
    assert all(scene.other != scene.concept for scene in scenes if scene.other)
