"""What the report shows of an encoder is drawn from sealed embeddings: no encoder is loaded for it."""

import shutil
from pathlib import Path

import pytest

from data_specs.errors import ContractError
from data_specs.ids import Lineage
from data_specs.specs.run import RunSpec
from data_specs.stage import SealedStage
from flows.report.encoder_view import NEIGHBOURS, encoder_views
from flows.runs.plan import RunPlan
from models.tiny_world.world import World, read_world
from support.sealed_encoder import sealed_encoder
from tasks.bundles import Work
from tasks.embeddings import patch_images, styles
from tasks.embeddings.benchmarks import benchmark_of, benchmark_shards, seal_part
from tasks.embeddings.extract import EmbeddingInputs, extract_shard
from tasks.embeddings.jobs import embedding_jobs

CONCEPTS = 5


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunPlan:
    """Of a run whose five concepts every artist has drawn twice, embedded by a small encoder, by fresh weights and by HOG."""
    whole = read_world()
    world = World(whole.concepts[:CONCEPTS], whole.places, whole.textures, whole.relations)
    monkeypatch.setattr(styles, "read_world", lambda: world)
    spec = RunSpec.model_validate({"embeddings": {"benchmarks": ["styles"], "copies": 2, "random_inits": 1}})
    benchmark = benchmark_of(spec.embeddings, "styles", 0, {})
    for shard in benchmark_shards(str(tmp_path), benchmark):
        seal_part(benchmark, shard)
    jobs, encoder = embedding_jobs(spec), sealed_encoder(tmp_path)
    facts, folder = {"data_sets": {}}, str(tmp_path / "embeddings" / "l")
    stage = SealedStage(
        name="embeddings", lineage=Lineage("l"), folder=folder, count=3, facts=facts, accepted=90, rejected={}, made=3
    )
    work = Work(stage, (0, 1, 2), spec.embeddings, EmbeddingInputs(encoder, str(tmp_path), jobs, (), {}), 0)
    for index in work.indices:
        extract_shard(work, index)
    shutil.rmtree(encoder.folder)
    return RunPlan(name="seen", root=str(tmp_path), spec=spec, source={}, stages={"embeddings": stage})


def stages(plan: RunPlan) -> dict[str, SealedStage]:
    stage = plan.stages["embeddings"]
    assert isinstance(stage, SealedStage)
    return {"embeddings": stage}


def test_images_stand_beside_their_patches_and_their_neighbours_by_this_encoder_and_by_hog(plan: RunPlan) -> None:
    found = encoder_views(stages(plan), plan)
    assert found is not None
    assert (found.benchmark, found.images, found.encoders) == ("styles", 30, ("this encoder", "HOG + colour"))
    assert (len(found.encoder_views), found.of) == (CONCEPTS, CONCEPTS * NEIGHBOURS)
    assert len({view.asked.label for view in found.encoder_views}) == CONCEPTS
    for view in found.encoder_views:
        assert view.patches.startswith("data:image/png;base64,") and view.asked.uri.startswith(
            "data:image/webp;base64,"
        )
        assert [len(row) for row in view.rows] == [NEIGHBOURS] * 2
        assert all(near.group != view.asked.group for row in view.rows for near in row)
        assert all(near.alike == (near.label == view.asked.label) for row in view.rows for near in row)
    for number, alike in enumerate(found.alike):
        assert alike == sum(near.alike for view in found.encoder_views for near in view.rows[number])
    assert encoder_views(stages(plan), plan) == found


def test_where_something_is_gone_it_says_what(plan: RunPlan) -> None:
    assert encoder_views({}, plan) is None
    first = plan.stages["embeddings"].shard(patch_images.SHARD)
    Path(first.file(patch_images.SUFFIX)).unlink()
    with pytest.raises(ContractError, match=r"embeddings-000000\.patches\.json is missing: an earlier version"):
        encoder_views(stages(plan), plan)
    shutil.rmtree(Path(plan.root, "benchmarks"))
    with pytest.raises(ContractError, match="the images of benchmark 'styles' are not in this root"):
        encoder_views(stages(plan), plan)
