"""Benchmarks are drawn once and look as promised; every picture gets one embedding, the same each time."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_specs import benchmark_image as picture
from data_specs import embedding
from data_specs.embedding import JOINT, TEXT, TEXT_OF_CATEGORIES
from data_specs.errors import ContractError
from data_specs.run import EmbeddingsSpec, EncoderSpec, RunSpec
from data_specs.shard import ShardAddress
from models.embedder.fake import FakeEmbedder
from models.tiny_world.world import World, read_world
from tasks.embeddings import styles
from tasks.embeddings.benchmarks import PARTS
from tasks.embeddings.extract import benchmark_shards, draw_shard, embed, extract_shard, needed
from tasks.embeddings.jobs import Look, looks, metric_of
from tasks.embeddings.styles import Drawing, draw_part, drawing_of
from tasks.shards import make_shard, read_shard

SMALL = Drawing("styles", 0, 2)


@pytest.fixture(autouse=True)
def few_concepts(monkeypatch: pytest.MonkeyPatch) -> World:
    whole = read_world()
    small = World(whole.concepts[:5], whole.places, whole.textures, whole.relations)
    monkeypatch.setattr(styles, "read_world", lambda: small)
    return small


def test_every_concept_is_drawn_by_every_artist_the_generator_never_saw(few_concepts: World) -> None:
    drawn = [found for part in range(PARTS) for found in draw_part(SMALL, part, PARTS)]
    assert {found.group for found in drawn} == {"emojione", "openmoji", "twemoji"}
    assert {found.labels for found in drawn} == {(concept.name,) for concept in few_concepts.concepts}
    assert len({found.id for found in drawn}) == len(drawn) == 5 * 3 * 2
    assert Image.open(io.BytesIO(drawn[0].data)).size == (64, 64)
    training = next(draw_part(drawing_of("training_styles", 0, 8), 0, PARTS))
    assert training.group in ("fluent-3d", "fluent-color", "fluent-flat", "noto", "noto-v1")


def test_the_same_seed_draws_the_same_pictures_and_another_one_others() -> None:
    first = [found.sha256 for found in draw_part(SMALL, 0, PARTS)]
    assert [found.sha256 for found in draw_part(SMALL, 0, PARTS)] == first
    assert not set(first) & {found.sha256 for found in draw_part(Drawing("styles", 1, 2), 0, PARTS)}


def test_a_benchmark_is_sealed_once_a_root(tmp_path: Path) -> None:
    spec = EmbeddingsSpec(benchmarks=("styles",), copies=2)
    made = [draw_shard(benchmark, address) for benchmark, address in needed(str(tmp_path), spec)]
    assert sum(manifest.accepted for manifest in made) == 30
    assert [draw_shard(benchmark, address) for benchmark, address in needed(str(tmp_path), spec)] == made


def test_every_picture_gets_one_embedding_in_order(tmp_path: Path, address: Callable[..., ShardAddress]) -> None:
    for benchmark, place in needed(str(tmp_path), EmbeddingsSpec(benchmarks=("styles",), copies=2)):
        draw_shard(benchmark, place)
    sources = benchmark_shards(str(tmp_path), SMALL)
    pictures = [found for source in sources for found in read_shard(source, picture.CONTRACT)]
    found = list(embed(sources, FakeEmbedder(), Look("fake", "styles", 0)))
    assert [(e.labels, e.group, e.copy) for e in found] == [(p.labels, p.group, p.copy) for p in pictures]
    expected = FakeEmbedder().embed(np.asarray(Image.open(io.BytesIO(pictures[0].data)))[None])
    assert np.frombuffer(found[0].feature, "<f4").tolist() == expected[0].tolist()
    spec, hog = EmbeddingsSpec(benchmarks=("styles",), copies=2), address(index=1, room="embeddings")
    manifest = extract_shard(address(room="encoder"), str(tmp_path), hog, Look("hog", "styles", 0), spec, seed=0)
    assert manifest.accepted == 30
    assert {e.encoder for e in read_shard(hog, embedding.CONTRACT)} == {"hog"}


def test_features_that_are_not_finite_are_refused(tmp_path: Path, address: Callable[..., ShardAddress]) -> None:
    class Broken:
        def embed(self, pixels_NSS3: np.ndarray) -> np.ndarray:
            return np.full((len(pixels_NSS3), 2), np.nan, np.float32)

    source = address(room="benchmarks")
    make_shard(source, picture.CONTRACT, lambda: draw_part(SMALL, 0, PARTS))
    with pytest.raises(ContractError, match="not finite"):
        list(embed([source], Broken(), Look("broken", "styles", 0)))


def test_an_embedder_that_reads_gets_every_class_in_every_sentence(address: Callable[..., ShardAddress]) -> None:
    class Reading(FakeEmbedder):
        def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
            return np.array([[len(text), 1.0] for text in texts], np.float32)

    source = address(room="benchmarks")
    make_shard(source, picture.CONTRACT, lambda: draw_part(SMALL, 0, PARTS))
    found = list(embed([source], Reading(), Look(JOINT, "styles", 0), ("a {}.", "the {} here")))
    shown = {e.labels for e in found if e.group not in (TEXT, TEXT_OF_CATEGORIES)}
    said = [e for e in found if e.group == TEXT]
    assert {(e.labels, e.copy) for e in said} == {(labels, place) for labels in shown for place in (0, 1)}
    first = next(e for e in said if e.copy == 1)
    assert np.frombuffer(first.feature, "<f4")[0] == len(f"the {first.labels[0]} here")
    categories = {e.category for e in found if e.category}
    assert {e.labels[0] for e in found if e.group == TEXT_OF_CATEGORIES} == categories
    assert len({e.id for e in found}) == len(found)


def recipe(**knobs: object) -> RunSpec:
    return RunSpec.model_validate({"embeddings": {"seeds": (0, 1), "random_inits": 2} | knobs})


def test_one_shard_for_each_encoder_benchmark_and_drawing() -> None:
    plan = looks(recipe())
    assert len(plan) == (1 + 2 + 1) * 2 * 2
    assert [look.encoder for look in plan][::4] == ["trained", "random-0", "random-1", "hog"]


def test_a_data_set_is_looked_at_once_whatever_the_seeds_and_has_a_metric_of_its_own() -> None:
    spec = recipe(data_sets=[{"use": "image_folder", "name": "pets", "path": "x", "metric": "mean_per_class"}])
    plan = looks(spec)
    assert sum(look.benchmark == "pets" for look in plan) == 4
    assert metric_of(spec.embeddings, "pets") == "mean_per_class"
    assert metric_of(spec.embeddings, "styles") == "top1"


def test_a_text_tower_adds_a_look_at_every_benchmark_and_changes_no_other() -> None:
    with_text = looks(recipe().model_copy(update={"encoder": EncoderSpec(objective="clip")}))
    assert with_text[: len(looks(recipe()))] == looks(recipe())
    assert {look.encoder for look in with_text[len(looks(recipe())) :]} == {JOINT}
    assert len(with_text) == 16 + 4
