"""Captions: templates say what the scene shows, prose is filed under what it says."""

import numpy as np

from models.tiny_world.scenes import RELATIONS, Scene
from models.tiny_world.world import read_world
from tiny_renderer.captions_of_scenes import PROSE, CaptionPool, file_sentence, read_prose
from tiny_renderer.phrases import RELATION_PHRASES, describe
from tiny_renderer.sampling import sample_scene

WORLD = read_world()


def entry(text: str, concept: str, **given: str) -> dict[str, str | None]:
    keys = ("background", "relation", "other")
    return {"text": text, "kind": "object", "concept": concept, **{key: given.get(key) for key in keys}}


def test_a_template_names_every_thing_it_is_asked_to_say() -> None:
    for seed in range(300):
        scene = sample_scene(WORLD, ("noto",), seed)
        text = describe(scene, np.random.default_rng(seed)).lower()
        for name in (scene.concept, scene.other, scene.texture):
            assert name is None or name in text, (scene, text)


def test_no_phrase_stands_for_two_relations_but_beside() -> None:
    assert tuple(RELATION_PHRASES) and set(RELATION_PHRASES) == set(RELATIONS)
    seen: dict[str, str] = {}
    for relation, phrases in RELATION_PHRASES.items():
        for phrase in phrases:
            assert phrase == "beside" or phrase not in seen, (phrase, relation, seen.get(phrase))
            seen[phrase] = relation


def test_prose_is_filed_under_what_it_says_not_what_was_asked() -> None:
    says = file_sentence(entry("A pear slips under a piano.", "pear", relation="under", other="piano"), WORLD)
    assert (says.relation, says.other) == ("under", "piano")
    turned = file_sentence(entry("A cactus in a house.", "cactus", relation="over", other="house"), WORLD)
    assert (turned.relation, turned.other) == ("in", "house")
    silent = file_sentence(entry("A cactus on its own.", "cactus", relation="over", other="house"), WORLD)
    assert (silent.relation, silent.other) == (None, None)
    assert file_sentence(entry("A lion at a market.", "lion", background="farm"), WORLD).place is None
    assert file_sentence(entry("A dog runs in the forest.", "dog"), WORLD).place == "forest"


def test_the_pool_gives_prose_half_the_time_and_only_what_is_true() -> None:
    prose = read_prose(PROSE, WORLD)
    assert len(prose) > 1000
    pool = CaptionPool(prose)
    texts = {sentence.text for sentence in prose}
    rng = np.random.default_rng(0)
    drawn = [pool.caption(Scene("noto", "dog", "beach"), rng) for _ in range(200)]
    assert 50 < sum(text in texts for text, _ in drawn) < 150
    assert all(said.concept == "dog" and said.place in (None, "beach") for _, said in drawn)
