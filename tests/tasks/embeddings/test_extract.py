"""Benchmarks are sealed once and look as promised; every image gets one embedding, the same each time."""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_specs import benchmark_image as image
from data_specs import embedding
from data_specs.embedding import JOINT, TEXT, TEXT_OF_CATEGORIES
from data_specs.errors import ContractError
from data_specs.ids import Lineage
from data_specs.shard import ShardAddress
from data_specs.specs.embeddings import EmbeddingsSpec
from data_specs.specs.encoder import EncoderSpec
from data_specs.specs.run import RunSpec
from data_specs.stage import Stage
from models.embedder.fake import FakeEmbedder
from models.tiny_world.world import World, read_world
from support.sealed_encoder import sealed_encoder
from support.shard_files import file_of
from tasks.bundles import Work
from tasks.embeddings import patch_images, styles
from tasks.embeddings.benchmarks import PARTS, benchmark_of, benchmark_shards, images_by_id, seal_part
from tasks.embeddings.extract import (
    EmbeddingInputs,
    EmbeddingsWork,
    embed_benchmark,
    extract_shard,
    seal_benchmarks,
)
from tasks.embeddings.jobs import EmbeddingJob, embedding_jobs, metric_of
from tasks.embeddings.styles import BenchmarkDrawing, draw_part, drawing_of
from tasks.engines import EngineProcess
from tasks.events import ignore
from tasks.shards import make_shard, read_rows, read_shard

SMALL = BenchmarkDrawing("styles", 0, 2)
SPEC = EmbeddingsSpec(benchmarks=("styles",), copies=2)


@pytest.fixture(autouse=True)
def few_concepts(monkeypatch: pytest.MonkeyPatch) -> World:
    whole = read_world()
    small = World(whole.concepts[:5], whole.places, whole.textures, whole.relations)
    monkeypatch.setattr(styles, "read_world", lambda: small)
    return small


def test_every_concept_is_drawn_by_every_artist_the_renderer_was_never_trained_on(few_concepts: World) -> None:
    drawn = [found for part in range(PARTS) for found in draw_part(SMALL, part, PARTS)]
    assert {found.group for found in drawn} == {"emojione", "openmoji", "twemoji"}
    assert {found.labels for found in drawn} == {(concept.name,) for concept in few_concepts.concepts}
    assert len({found.id for found in drawn}) == len(drawn) == 5 * 3 * 2
    assert Image.open(io.BytesIO(drawn[0].data)).size == (64, 64)
    training = next(draw_part(drawing_of("training_styles", 0, 8), 0, PARTS))
    assert training.group in ("fluent-3d", "fluent-color", "fluent-flat", "noto", "noto-v1")


def test_the_same_seed_draws_the_same_images_and_another_one_others() -> None:
    first = [found.sha256 for found in draw_part(SMALL, 0, PARTS)]
    assert [found.sha256 for found in draw_part(SMALL, 0, PARTS)] == first
    assert not set(first) & {found.sha256 for found in draw_part(BenchmarkDrawing("styles", 1, 2), 0, PARTS)}


def work_of(folder: Path, *jobs: EmbeddingJob, encoder: ShardAddress | None = None) -> EmbeddingsWork:
    encoder = encoder or ShardAddress(folder=str(folder / "encoder"), stage="encoder", lineage="e", index=0)
    stage = Stage(name="embeddings", lineage=Lineage("e"), folder=str(folder / "embeddings"), count=len(jobs), facts={})
    return Work(stage, tuple(range(len(jobs))), SPEC, EmbeddingInputs(encoder, str(folder), jobs, ("a {}.",), {}), 0)


def sealed_styles(folder: Path) -> list[ShardAddress]:
    shards = benchmark_shards(str(folder), SMALL)
    for shard in shards:
        seal_part(SMALL, shard)
    return shards


def test_a_benchmark_is_sealed_once_a_root(tmp_path: Path) -> None:
    assert benchmark_of(SPEC, "styles", 0, {}) == SMALL
    shards = benchmark_shards(str(tmp_path), SMALL)
    made = [seal_part(SMALL, shard) for shard in shards]
    assert sum(manifest.accepted for manifest in made) == 30
    assert [seal_part(SMALL, shard) for shard in shards] == made


@pytest.mark.slow(15)
def test_benchmarks_of_missing_shards_alone_are_sealed_each_once(tmp_path: Path, engine: EngineProcess) -> None:
    work = work_of(
        tmp_path, *(EmbeddingJob(encoder, "styles", seed) for encoder in ("hog", "trained") for seed in (0, 1))
    )
    assert seal_benchmarks(replace(work, indices=(0, 2)), [engine], ignore) == PARTS
    assert seal_benchmarks(work, [engine], ignore) == PARTS
    assert seal_benchmarks(work, [engine], ignore) == 0


def test_every_image_gets_one_embedding_in_order(tmp_path: Path) -> None:
    shards = sealed_styles(tmp_path)
    images = [found for shard in shards for found in read_shard(shard, image.CONTRACT)]
    found = list(embed_benchmark(shards, FakeEmbedder(), EmbeddingJob("fake", "styles", 0)))
    assert [(e.labels, e.group, e.copy) for e in found] == [(p.labels, p.group, p.copy) for p in images]
    expected = FakeEmbedder().embed(np.asarray(Image.open(io.BytesIO(images[0].data)))[None])
    assert np.frombuffer(found[0].feature, "<f4").tolist() == expected[0].tolist()
    work = work_of(tmp_path, EmbeddingJob("hog", "styles", 0))
    assert extract_shard(work, 0).accepted == 30
    assert {e.encoder for e in read_shard(work.stage.table, embedding.CONTRACT)} == {"hog"}


def test_the_trained_encoder_leaves_images_in_the_colours_of_its_patches_beside_its_first_shard(tmp_path: Path) -> None:
    shards, encoder = sealed_styles(tmp_path), sealed_encoder(tmp_path)
    jobs = [EmbeddingJob(encoder, "styles", 0) for encoder in ("trained", "random-0", "hog")]
    work = work_of(tmp_path, *jobs, encoder=encoder)
    for index in work.indices:
        extract_shard(work, index)
    first, *others = work.stage.shards()
    found = patch_images.read(first)
    label_of = {row["id"]: row["labels"] for shard in shards for row in read_rows(shard).to_pylist()}
    assert len({tuple(label_of[each]) for each in found}) == len(found) == 5, (
        "each of another class, and there are five"
    )
    assert list(found) == patch_images.choose(patch_images.first_rows(list(reversed(shards)))), (
        "whatever the order of rows"
    )
    assert {Image.open(io.BytesIO(png)).size for png in found.values()} == {(8, 8)}, "patches of twice the side"
    for other in others:
        with pytest.raises(ContractError, match="patches.json is missing: an earlier version sealed this shard"):
            patch_images.read(other)
    again = work_of(tmp_path / "again", *jobs, encoder=encoder)
    extract_shard(replace(again, inputs=replace(again.inputs, root=str(tmp_path))), 0)
    assert patch_images.read(again.stage.table) == found


def test_images_are_found_by_id_without_reading_what_lies_behind_them(tmp_path: Path) -> None:
    shards = sealed_styles(tmp_path)
    first = next(read_shard(shards[0], image.CONTRACT))
    file_of(shards[1], "tar").unlink()
    assert images_by_id(shards, {first.id}) == {first.id: first}


def test_features_that_are_not_finite_are_refused(tmp_path: Path, address: Callable[..., ShardAddress]) -> None:
    class Broken:
        def embed(self, pixels_NSS3: np.ndarray) -> np.ndarray:
            return np.full((len(pixels_NSS3), 2), np.nan, np.float32)

    source = address(stage="benchmarks")
    make_shard(source, image.CONTRACT, lambda: draw_part(SMALL, 0, PARTS))
    with pytest.raises(ContractError, match="not finite"):
        list(embed_benchmark([source], Broken(), EmbeddingJob("broken", "styles", 0)))


def test_an_embedder_that_takes_text_gets_every_class_in_every_template(address: Callable[..., ShardAddress]) -> None:
    class TakesText(FakeEmbedder):
        def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
            return np.array([[len(text), 1.0] for text in texts], np.float32)

    source = address(stage="benchmarks")
    make_shard(source, image.CONTRACT, lambda: draw_part(SMALL, 0, PARTS))
    found = list(embed_benchmark([source], TakesText(), EmbeddingJob(JOINT, "styles", 0), ("a {}.", "the {} here")))
    shown = {e.labels for e in found if e.group not in (TEXT, TEXT_OF_CATEGORIES)}
    prompts = [e for e in found if e.group == TEXT]
    assert {(e.labels, e.copy) for e in prompts} == {(labels, place) for labels in shown for place in (0, 1)}
    first = next(e for e in prompts if e.copy == 1)
    assert np.frombuffer(first.feature, "<f4")[0] == len(f"the {first.labels[0]} here")
    categories = {e.category for e in found if e.category}
    assert {e.labels[0] for e in found if e.group == TEXT_OF_CATEGORIES} == categories
    assert len({e.id for e in found}) == len(found)


def recipe(**settings: object) -> RunSpec:
    return RunSpec.model_validate({"embeddings": {"seeds": (0, 1), "random_inits": 2} | settings})


def test_one_shard_for_each_encoder_benchmark_and_drawing() -> None:
    jobs = embedding_jobs(recipe())
    assert len(jobs) == (1 + 2 + 1) * 4 * 2
    assert [job.encoder for job in jobs][::8] == ["trained", "random-0", "random-1", "hog"]


def test_a_data_set_is_embedded_once_whatever_the_seeds_and_has_a_metric_of_its_own() -> None:
    spec = recipe(data_sets=[{"use": "image_folder", "name": "pets", "path": "x", "metric": "mean_per_class"}])
    assert sum(job.benchmark == "pets" for job in embedding_jobs(spec)) == 4
    assert metric_of(spec.embeddings, "pets") == "mean_per_class"
    assert metric_of(spec.embeddings, "styles") == "top1"


def test_a_text_tower_adds_a_job_for_every_benchmark_and_changes_no_other() -> None:
    with_text = embedding_jobs(recipe().model_copy(update={"encoder": EncoderSpec(objective="clip")}))
    assert with_text[: len(embedding_jobs(recipe()))] == embedding_jobs(recipe())
    assert {job.encoder for job in with_text[len(embedding_jobs(recipe())) :]} == {JOINT}
    assert len(with_text) == 32 + 8
