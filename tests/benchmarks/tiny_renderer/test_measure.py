"""The figures of the tiny renderer's card, on images whose figures are known."""

import gzip
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.tiny_renderer.judge import JUDGED, accuracy_by_head, alignment, train_judge
from benchmarks.tiny_renderer.measure import PER_CAPTION, copies, diversity, unseen_prose
from benchmarks.tiny_renderer.speed import images_per_second
from data_specs.specs.images import ImagesSpec
from models.tiny_world.scenes import Scene
from models.tiny_world.world import read_world
from tiny_renderer.captions_of_scenes import PROSE, read_prose
from tiny_renderer.contact_sheet import save_small
from tiny_renderer.image_set import SceneSet, render_split
from tiny_renderer.labels import label_names, label_scenes
from tiny_renderer.snapshots import read_snapshot

WORLD = read_world()


class Sure(torch.nn.Module):
    """A judge that sees the scenes it was given, whatever the images show."""

    def __init__(self, scenes: list[Scene]) -> None:
        super().__init__()
        self.labels = label_scenes(scenes, WORLD)

    def forward(self, _: torch.Tensor) -> dict[str, torch.Tensor]:
        classes = {name: len(names) + 1 for name, names in label_names(WORLD).items()}
        return {
            name: 9.0 * torch.eye(classes[name])[torch.from_numpy(self.labels[:, k])] for k, name in enumerate(JUDGED)
        }


def aligned(said: Scene, seen: Scene) -> dict[str, float]:
    return alignment(Sure([seen]), np.zeros((1, 64, 64, 3), np.uint8), [said])  # type: ignore[arg-type]


def test_only_what_a_caption_says_is_asked_and_a_category_is_less_than_its_concept() -> None:
    said = Scene("any", "dog", "beach")
    whole = {"concept": 1.0, "concept_top5": 1.0, "category": 1.0, "place": 1.0}
    assert aligned(said, said) == whole
    assert aligned(said, Scene("any", "wolf", "beach")) == whole | {"concept": 0.0, "concept_top5": 0.0}
    assert aligned(said, Scene("any", "car", "farm")) == dict.fromkeys(whole, 0.0)
    assert aligned(Scene("any", "dog", None), Scene("any", "dog", "farm")).keys() == whole.keys() - {"place"}
    assert aligned(Scene("any", None, None, texture="brick wall"), said) == {"texture": 0.0}


def test_one_image_may_be_said_in_two_ways_and_a_relation_holds_between_the_right_two() -> None:
    said = Scene("any", "dog", None, "behind", "car")
    same = aligned(said, Scene("any", "car", None, "in front of", "dog"))
    assert (same["concept"], same["relation_alone"], same["relation"]) == (1.0, 1.0, 1.0)
    other = aligned(said, Scene("any", "car", None, "in front of", "cat"))
    assert (other["concept"], other["relation_alone"], other["relation"]) == (0.0, 1.0, 0.0)


def test_images_that_differ_are_diverse_and_copies_are_found(tmp_path: Path) -> None:
    assert diversity(np.zeros((PER_CAPTION, 64, 64, 3), np.uint8)) == 0
    apart = np.zeros((PER_CAPTION, 64, 64, 3), np.uint8)
    apart[0] = 200
    assert diversity(apart) == pytest.approx(200 * (PER_CAPTION - 1) / (PER_CAPTION * (PER_CAPTION - 1) / 2))
    for split, count in (("training", 12), ("held-out", 8)):
        render_split(tmp_path / "scenes", split, count, 1)
    training, held_out = (SceneSet(tmp_path / "scenes", f"{split}-*") for split in ("training", "held-out"))
    copied = copies(training.pixels(np.arange(3)), training, held_out)
    assert copied["generated_to_training"] == copied["closest_generated"] == 0 < copied["closest_fresh"]
    assert copied["generated_to_as_many_unseen"] > 0 and copied["training_scenes"] == 12


def test_the_judge_goes_on_where_it_stopped_and_is_asked_head_by_head(tmp_path: Path) -> None:
    render_split(tmp_path / "scenes", "held-out", 12, 1)
    for steps in (1, 2):
        judge = train_judge(tmp_path, steps, ["noto"], batch=4, scenes=12)
        _, record = read_snapshot(tmp_path / "judge.safetensors") or ({}, {})
        assert record["step"] == steps
    again = train_judge(tmp_path, 2, ["noto"], batch=4, scenes=12)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in judge.state_dict().items())
    assert {scene.style for scene in SceneSet(tmp_path / "scenes", "judge-*").scenes} == {"noto"}
    shares = accuracy_by_head(judge, SceneSet(tmp_path / "scenes", "held-out-*"))
    assert "concept" in shares and set(shares) <= set(JUDGED)


def test_prose_of_another_file_is_measured_only_where_it_was_not_learnt(tmp_path: Path) -> None:
    held_out = unseen_prose(None)
    assert len(held_out) == 91
    learnt = next(sentence for sentence in read_prose(PROSE, WORLD) if sentence not in held_out)
    fresh = {"kind": "object", "concept": "dog", "strategy": "background", "background": "beach"}
    lines = [fresh | {"text": text, "relation": None, "other": None} for text in (learnt.text, "A new dog, beach.")]
    with gzip.open(tmp_path / "prose.jsonl.gz", "wt") as file:
        file.write("\n".join(map(json.dumps, lines)))
    (found,) = unseen_prose(tmp_path / "prose.jsonl.gz")
    assert (found.text, asdict(found)["place"]) == ("A new dog, beach.", "beach")


def test_a_sheet_is_kept_below_its_bytes_and_whole_where_it_can_be(tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    assert save_small(noise, tmp_path / "whole.png") > 9_000
    assert np.array_equal(Image.open(tmp_path / "whole.png"), noise)
    assert save_small(noise, tmp_path / "small.png", most=9_000) < 9_000
    assert Image.open(tmp_path / "small.png").size == (64, 64)


def test_speed_is_of_all_engines_together() -> None:
    spec = ImagesSpec(engine="fake", size=16, batch_size=4, per_caption=2)
    assert images_per_second(spec, ["a dog", "a cat", "an owl"], engines=2, threads=1) > 1
