"""What another lineage of embeddings or scores has sealed of the same content is reused; nothing else is."""

from pathlib import Path
from typing import Any

import pytest

from data_specs.stage import Stage
from flows.runs.equal_shards import reuse_equal_shards
from flows.runs.plan import RunPlan
from flows.runs.planning import plan_run, resolve_plan
from flows.runs.request import Request
from flows.runs.resolve import CONTENTS, stale_fields
from support.image_files import image_folder
from support.made_up_run import SETTINGS, make_run
from tasks import storage
from tasks.embeddings import patch_images
from tasks.embeddings.jobs import embedding_jobs
from tasks.events import Event, Notice
from tasks.shards import missing, sealed

EMBEDDINGS: dict[str, Any] = {"benchmarks": ["styles"], "random_inits": 1, "hog": True}


@pytest.fixture
def first(tmp_path: Path) -> RunPlan:
    plan = make_run(str(tmp_path / "root"), embeddings=EMBEDDINGS)
    storage.write_bytes(plan.stages["embeddings"].table.file(patch_images.SUFFIX), b"[]")
    return plan


def request(plan: RunPlan, **settings: dict[str, Any]) -> Request:
    merged = {stage: SETTINGS.get(stage, {}) | settings.get(stage, {}) for stage in {*SETTINGS, *settings}}
    return Request("tiny", plan.name, plan.root, since="embeddings", settings=merged)


def pets(folder: Path, **more: Any) -> dict[str, Any]:
    return {"use": "image_folder", "name": "pets", "path": str(image_folder(folder))} | more


def left(plan: RunPlan, stage: Stage) -> set[tuple[str, str]]:
    jobs = embedding_jobs(plan.spec)
    return {(jobs[index].encoder, jobs[index].benchmark) for index in missing(stage)}


def test_one_more_benchmark_makes_its_own_shards_alone(first: RunPlan, tmp_path: Path) -> None:
    told: list[Event] = []
    plan = plan_run(
        request(first, embeddings=EMBEDDINGS | {"data_sets": [pets(tmp_path / "pets")]}), "me", listeners=[told.append]
    )
    for name in ("embeddings", "scores"):
        stage = plan.stages[name]
        assert stage.lineage != first.stages[name].lineage and stage.count == 6
        assert left(plan, stage) == {(encoder, "pets") for encoder in ("trained", "random-0", "hog")}
        manifests = [sealed(shard) for shard in first.stages[name].shards()]
        copied = [manifest for shard in stage.shards() if (manifest := sealed(shard))]
        assert [each.files for each in copied] == [each.files for each in manifests if each]
    assert [event.text for event in told if isinstance(event, Notice)] == [
        f"embeddings: 3 of 6 shards are reused from lineage {first.stages['embeddings'].lineage}: the same encoders and images",
        f"scores: 3 of 6 shards are reused from lineage {first.stages['scores'].lineage}: the same embeddings and settings",
    ]
    assert storage.read_bytes(plan.stages["embeddings"].table.file(patch_images.SUFFIX)) == b"[]"
    assert not storage.names(f"{plan.root}/benchmarks"), "nothing is read or drawn for it"


def test_a_benchmark_that_is_taken_away_leaves_nothing_to_make(first: RunPlan, tmp_path: Path) -> None:
    plan = plan_run(request(first, embeddings=EMBEDDINGS | {"hog": False}), "me")
    assert not missing(plan.stages["embeddings"]) and not missing(plan.stages["scores"])


@pytest.mark.parametrize(
    ("settings", "embedded", "scored"),
    [
        ({"scores": {"knn_k": 3}}, 3, 0),
        ({"embeddings": {"pooling": "cls"}}, 1, 1),
        ({"embeddings": {"blocks": 1}}, 1, 1),
        ({"embeddings": {"copies": 3}}, 0, 0),
        ({"embeddings": {"templates": "clip"}}, 3, 3),
    ],
)
def test_other_settings_make_what_they_change_and_hog_knows_no_encoder(
    first: RunPlan, settings: dict[str, Any], embedded: int, scored: int
) -> None:
    asked = {"embeddings": EMBEDDINGS | settings.get("embeddings", {}), "scores": settings.get("scores", {})}
    plan = plan_run(request(first, **asked), "me")
    found = {name: plan.stages[name].count - len(missing(plan.stages[name])) for name in ("embeddings", "scores")}
    assert found == {"embeddings": embedded, "scores": scored}


def test_images_of_other_content_and_other_metrics_share_nothing_that_depends_on_them(
    tmp_path: Path, first: RunPlan
) -> None:
    data_set = pets(tmp_path / "pets")

    def contents(**more: Any) -> list[tuple[str, str]]:
        plan = resolve_plan(request(first, embeddings=EMBEDDINGS | {"data_sets": [data_set | more]}))
        jobs = embedding_jobs(plan.spec)
        both = zip(plan.stages["embeddings"].facts[CONTENTS], plan.stages["scores"].facts[CONTENTS], strict=True)
        return [found for job, found in zip(jobs, both, strict=True) if job.benchmark == "pets"]

    before, metric, size = contents(), contents(metric="mean_per_class"), contents(size=32)
    assert [each for each, _ in before] == [each for each, _ in metric], "features know no metric"
    assert not {each for _, each in before} & {each for _, each in metric}
    assert not {each for each, _ in before} & {each for each, _ in size}
    assert contents(size=64) == before, "the encoder's size is the default"
    (tmp_path / "pets" / "train" / "cat" / "0.jpg").write_bytes(b"other")
    assert not {each for each, _ in before} & {each for each, _ in contents()}


def test_a_first_shard_without_its_painted_patches_is_made_anew(first: RunPlan, tmp_path: Path) -> None:
    Path(first.stages["embeddings"].table.file(patch_images.SUFFIX)).unlink()
    plan = plan_run(request(first, embeddings=EMBEDDINGS | {"data_sets": [pets(tmp_path / "pets")]}), "me")
    assert ("trained", "styles") in left(plan, plan.stages["embeddings"])


def test_another_lineage_that_cannot_be_read_is_none(first: RunPlan) -> None:
    for name, text in (("cut", b'{"stage": "emb'), ("list", b"[]"), ("other", b'{"contents": null}')):
        storage.write_bytes(f"{first.root}/embeddings/{name}/lineage.json", text)
    plan = plan_run(request(first, embeddings=EMBEDDINGS | {"hog": False}), "me")
    assert not missing(plan.stages["embeddings"])


def test_what_is_there_is_not_looked_for_and_the_field_that_changed_is_named(first: RunPlan) -> None:
    reuse_equal_shards(first)
    stage = first.stages["embeddings"]
    other = stage.model_copy(update={"lineage": "x", "facts": stage.facts | {CONTENTS: ["y"]}})
    assert stale_fields(other, stage) == [CONTENTS]
    changed = other.model_copy(update={"facts": other.facts | {"seed": 5}})
    assert stale_fields(changed, stage) == ["seed 0 -> 5"], "what follows from it is not told too"
