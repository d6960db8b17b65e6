"""Prose: what says what was asked is kept with its detail, the rest is refused with a reason, and nothing is lost."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_specs.rejection import Rejection
from models.tiny_world.scenes import Scene
from models.tiny_world.world import read_world
from support.builders import make_caption
from tiny_renderer.captions_of_scenes import CaptionPool, read_prose
from tiny_renderer.image_set import scene_of_sentence
from tiny_renderer.prose_of_captions import prose_of, write_prose_file

WORLD = read_world()
ALONE = replace(make_caption("dog"), strategy="concept", background=None)
PLACED = make_caption("dog")
RELATED = replace(ALONE, strategy="relation", relation="behind", other="car")
PLACE = replace(ALONE, kind="place", concept="beach")
TEXTURE = replace(ALONE, kind="texture", concept="brick wall")


@pytest.mark.parametrize(
    ("asked", "text", "detail"),
    [
        (ALONE, "A photo of a dog.", None),
        (ALONE, "A photo of a large brown dog.", "large"),
        (ALONE, "A photo of a dog with a small collar.", None),
        (ALONE, "A photo of a dog on a foggy day.", "foggy"),
        (PLACED, "A photo of a tiny dog on the beach.", "small"),
        (RELATED, "A photo of a dog behind a car in heavy rain.", "rainy"),
        (replace(RELATED, relation="besides"), "A photo of a dog next to a car.", None),
        (PLACE, "A photo of a beach in the mist.", "foggy"),
        (TEXTURE, "A photo of a brick wall seen up close.", None),
    ],
)
def test_what_says_what_was_asked_is_kept(asked, text, detail):
    (entry,) = prose_of([replace(asked, text=text)], WORLD)
    assert not isinstance(entry, Rejection), entry
    assert (entry["text"], entry["concept"], entry["detail"]) == (text, asked.concept, detail)


@pytest.mark.parametrize(
    ("asked", "text", "reason"),
    [
        (PLACED, "A photo of a dog on a porch.", "place_unsaid"),
        (replace(PLACED, background="city at night"), "A photo of a dog in a boat at noon.", "place_unsaid"),
        (RELATED, "A photo of a dog in front of a car.", "relation_unsaid"),
        (RELATED, "A photo of a dog behind a bush.", "relation_unsaid"),
        (ALONE, "A photo of a dog with two cats.", "second_object"),
        (PLACE, "A photo of a beach with a sailboat.", "second_object"),
        (ALONE, "A photo of a small dog in the rain.", "details"),
        (RELATED, "A photo of a huge dog behind a car.", "details"),
        (TEXTURE, "A photo of a brick wall in the fog.", "details"),
    ],
)
def test_what_would_teach_something_wrong_is_refused(asked, text, reason):
    (refused,) = prose_of([replace(asked, text=text)], WORLD)
    assert refused == Rejection(asked.id, reason, text)


def test_the_same_captions_give_the_same_bytes_and_each_is_accounted_for(tmp_path: Path) -> None:
    texts = ("A dog in the rain.", "A dog in the rain", "A dog and a cat.", "A lone dog.")
    captions = [replace(ALONE, text=text) for text in texts]
    paths = [tmp_path / name / "prose.jsonl.gz" for name in "ab"]
    counts = [write_prose_file(prose_of(captions, WORLD), path) for path in paths]
    assert counts[0] == counts[1] == {"kept": 2, "repeated": 1, "second_object": 1}
    assert paths[0].read_bytes() == paths[1].read_bytes()
    refused = [json.loads(line) for line in (tmp_path / "a" / "prose.rejects.jsonl").read_text().splitlines()]
    assert [each["text"] for each in refused] == ["A dog in the rain", "A dog and a cat."]
    assert [sentence.detail for sentence in read_prose(paths[0], WORLD)] == ["rainy", None]


def test_a_sentence_with_a_detail_is_said_of_scenes_that_have_it_alone(tmp_path: Path) -> None:
    related = replace(RELATED, text="A dog behind a car in thick fog.")
    write_prose_file(prose_of([replace(ALONE, text="A dog in the rain."), related], WORLD), tmp_path / "prose.jsonl.gz")
    rainy, foggy = read_prose(tmp_path / "prose.jsonl.gz", WORLD)
    pool, rng = CaptionPool([rainy, foggy], share=1.0), np.random.default_rng(0)
    assert pool.caption(Scene("noto", "dog", None, detail="rainy"), rng)[0] == rainy.text
    assert pool.caption(Scene("noto", "dog", None), rng)[0] not in (rainy.text, foggy.text)
    shown = scene_of_sentence(Scene("noto", "cat", "farm"), foggy)
    assert shown == Scene("noto", "dog", "farm", "behind", "car", detail="foggy")
    assert pool.caption(shown, rng)[0] == foggy.text
