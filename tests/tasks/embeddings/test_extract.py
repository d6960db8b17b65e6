"""Benchmarks are drawn once and look as promised; every picture gets one embedding, the same each time."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_specs import embedding, picture
from data_specs.errors import ContractError
from data_specs.run import EmbeddingsSpec
from data_specs.shard import ShardAddress
from models.embedder.fake import FakeEmbedder
from tasks.embeddings import benchmarks
from tasks.embeddings.benchmarks import Benchmark, benchmark_of, draw_part
from tasks.embeddings.extract import benchmark_shards, draw_shard, embed, extract_shard, needed
from tasks.embeddings.plan import Look, embedding_shards, looks
from tasks.shards import make_shard, read_shard
from tasks.tiny_world.world import World, read_world

SMALL = Benchmark("styles", 0, 2)


@pytest.fixture(autouse=True)
def few_concepts(monkeypatch: pytest.MonkeyPatch) -> World:
    whole = read_world()
    small = World(whole.concepts[:5], whole.places, whole.textures, whole.relations)
    monkeypatch.setattr(benchmarks, "read_world", lambda: small)
    return small


def test_every_concept_is_drawn_by_every_artist_the_generator_never_saw(few_concepts: World) -> None:
    drawn = [found for part in range(benchmarks.PARTS) for found in draw_part(SMALL, part)]
    assert {found.group for found in drawn} == {"emojione", "openmoji", "twemoji"}
    assert {found.label for found in drawn} == {concept.name for concept in few_concepts.concepts}
    assert len({found.id for found in drawn}) == len(drawn) == 5 * 3 * 2
    assert Image.open(io.BytesIO(drawn[0].data)).size == (64, 64)
    training = next(draw_part(benchmark_of("training_styles", 0, 8), 0))
    assert training.group in ("fluent-3d", "fluent-color", "fluent-flat", "noto", "noto-v1")


def test_the_same_seed_draws_the_same_pictures_and_another_one_others() -> None:
    first = [found.sha256 for found in draw_part(SMALL, 0)]
    assert [found.sha256 for found in draw_part(SMALL, 0)] == first
    assert not set(first) & {found.sha256 for found in draw_part(Benchmark("styles", 1, 2), 0)}


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
    assert [(e.label, e.group, e.copy) for e in found] == [(p.label, p.group, p.copy) for p in pictures]
    expected = FakeEmbedder().embed(np.asarray(Image.open(io.BytesIO(pictures[0].data)))[None])
    assert np.frombuffer(found[0].feature, "<f4").tolist() == expected[0].tolist()
    spec = EmbeddingsSpec(benchmarks=("styles",), copies=2, random_inits=0)
    hog = address(index=1, room="embeddings")
    assert looks(spec)[1] == Look("hog", "styles", 0)
    manifest = extract_shard(address(room="encoder"), str(tmp_path), hog, spec, seed=0)
    assert manifest.accepted == 30
    assert {e.encoder for e in read_shard(hog, embedding.CONTRACT)} == {"hog"}


def test_features_that_are_not_finite_are_refused(tmp_path: Path, address: Callable[..., ShardAddress]) -> None:
    class Broken:
        def embed(self, pixels_NSS3: np.ndarray) -> np.ndarray:
            return np.full((len(pixels_NSS3), 2), np.nan, np.float32)

    source = address(room="benchmarks")
    make_shard(source, picture.CONTRACT, lambda: draw_part(SMALL, 0))
    with pytest.raises(ContractError, match="not finite"):
        list(embed([source], Broken(), Look("broken", "styles", 0)))


def test_one_shard_for_each_encoder_benchmark_and_drawing() -> None:
    spec = EmbeddingsSpec(seeds=(0, 1), random_inits=2)
    assert embedding_shards(spec) == (1 + 2 + 1) * 2 * 2
    assert [look.encoder for look in looks(spec)][::4] == ["trained", "random-0", "random-1", "hog"]
