"""Scores of features whose answer is known, and the table they end in."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data_specs import concept as concept_record
from data_specs import embedding, score
from data_specs.embedding import TEXT, TEXT_OF_CATEGORIES, Embedding
from data_specs.errors import ContractError
from data_specs.ids import Lineage
from data_specs.score import Score
from data_specs.shard import ShardAddress
from data_specs.specs.embeddings import Metric
from data_specs.specs.scores import ScoresSpec
from data_specs.stage import Stage
from support.builders import make_concept
from tasks.bundles import Work
from tasks.scores import measure
from tasks.scores.folds import given_splits, held_out_copies, held_out_groups
from tasks.scores.jobs import EvaluationJob
from tasks.scores.measure import ScoreInputs, measure_shard
from tasks.scores.score_embeddings import score_embeddings
from tasks.scores.summary import headline
from tasks.shards import make_shard, read_rows

TOP1 = EvaluationJob(seed=0, metric="top1")
SPEC = ScoresSpec(knn_k=3, ridge_penalties=(0.01, 1.0))
CONCEPTS, STYLES, COPIES = 6, ("a", "b", "c"), 4
ALL = frozenset(f"Concept_{number}" for number in range(CONCEPTS))


def embeddings(signal: float, encoder: str = "trained", benchmark: str = "styles") -> Iterator[Embedding]:
    """One direction a concept, `signal` long, in noise of length about 1; categories are the concepts' halves."""
    generator = np.random.default_rng(0)
    for concept in range(CONCEPTS):
        for style in STYLES:
            for copy in range(COPIES):
                feature = generator.normal(0, 0.3, 12).astype("<f4")
                feature[concept] += signal
                yield Embedding(
                    id=f"{concept}-{style}-{copy}",
                    encoder=encoder,
                    benchmark=benchmark,
                    group=style,
                    labels=(f"concept {concept}",),
                    category=f"category {concept // 3}",
                    copy=copy,
                    dimension=12,
                    feature=feature.tobytes(),
                )


def scored(signal: float, benchmark: str = "styles") -> list[Score]:
    return list(score_embeddings(list(embeddings(signal, benchmark=benchmark)), TOP1, SPEC, ALL))


def test_features_that_hold_the_answer_score_one() -> None:
    scores = scored(signal=10.0)
    assert {score.value for score in scores} == {1.0}
    assert {(score.benchmark, score.protocol, score.fold) for score in scores} == {
        (benchmark, protocol, fold)
        for benchmark in ("styles", "styles_categories")
        for protocol in ("ridge", "knn")
        for fold in STYLES
    }
    assert {score.chance for score in scores} == {1 / 6, 1 / 2}


def test_features_of_noise_score_about_chance() -> None:
    values = [score.value for score in scored(signal=0.0) if score.benchmark == "styles"]
    assert np.mean(values) < 0.45


def test_a_fold_tests_the_first_half_of_the_copies_of_a_style_it_was_never_trained_on() -> None:
    groups = [style for style in STYLES for _ in range(COPIES)]
    copies = list(range(COPIES)) * 3
    for fold in held_out_groups(groups, copies, 0):
        assert {groups[i] for i in fold.test} == {fold.name}
        assert {copies[i] for i in fold.test} == {0, 1}
        assert fold.name not in {groups[i] for i in fold.train}
        for fit, validate in fold.validations:
            assert set(fit) | set(validate) == set(fold.train)
            assert not {groups[i] for i in fit} & {groups[i] for i in validate}


def test_fresh_scenes_are_tested_on_copies_that_no_probe_or_penalty_saw() -> None:
    [fold] = held_out_copies(["a"] * 4, [0, 1, 2, 3], 0)
    assert (fold.train.tolist(), fold.test.tolist()) == ([0, 1, 2], [3])
    assert [(fit.tolist(), validate.tolist()) for fit, validate in fold.validations] == [([0, 1], [2])]
    assert {score.fold for score in scored(10.0, "training_styles")} == {"fresh_scenes"}


def test_a_benchmark_that_cannot_be_split_is_refused() -> None:
    with pytest.raises(ContractError, match="train and test"):
        scored(1.0, "unheard_of")
    with pytest.raises(ContractError, match="three groups"):
        list(held_out_groups(["a", "b"], [0, 0], 0))
    with pytest.raises(ContractError, match="copies"):
        list(held_out_copies(["a", "b"], [0, 0], 0))
    with pytest.raises(ContractError, match="without images"):
        list(score_embeddings([], TOP1, SPEC, ALL))


def splits(**counts: int) -> list[Embedding]:
    """A data set with so many copies of each concept in each split."""
    return [
        replace(found, id=f"{split} {found.id}", group=split, benchmark="pets", copy=0)
        for split, count in counts.items()
        for found in embeddings(10.0, benchmark="pets")
        if found.group == "a" and found.copy < count
    ]


def test_a_data_set_is_split_as_it_says_and_fitted_again_on_all_it_may_train_on() -> None:
    groups = ["train", "validation", "train", "test"]
    [fold] = given_splits(groups, [0] * 4, 0)
    assert (fold.train.tolist(), fold.test.tolist()) == ([0, 1, 2], [3])
    assert [(fit.tolist(), validate.tolist()) for fit, validate in fold.validations] == [([0, 2], [1])]
    [score, _] = score_embeddings(splits(train=2, test=1), TOP1, SPEC, ALL)
    assert (score.benchmark, score.fold, score.value, score.train_size, score.test_size) == ("pets", "test", 1.0, 12, 6)


def test_without_a_validation_split_a_random_fifth_of_train_serves_by_seed() -> None:
    groups = ["train"] * 50 + ["test"]
    [[fold], [again], [other]] = [list(given_splits(groups, [0] * 51, seed)) for seed in (1, 1, 2)]
    [(fit, validate)] = fold.validations
    assert (len(fit), len(validate), sorted([*fit, *validate])) == (40, 10, list(range(50)))
    assert fold.train.tolist() == list(range(50))
    assert again.validations[0][1].tolist() == validate.tolist() != other.validations[0][1].tolist()
    with pytest.raises(ContractError, match="train and test"):
        list(given_splits(["train"] * 3, [0] * 3, 0))
    with pytest.raises(ContractError, match="one image"):
        list(given_splits(["train", "test"], [0] * 2, 0))


def test_a_class_that_is_tested_and_never_trained_on_is_named() -> None:
    found = [one for one in splits(train=2, test=1) if (one.group, one.labels) != ("train", ("concept 3",))]
    with pytest.raises(ContractError, match="1 classes are tested and never trained on .concept 3"):
        list(score_embeddings(found, TOP1, SPEC, ALL))


def test_no_score_depends_on_the_order_of_rows() -> None:
    found, shuffled = list(embeddings(0.6)), list(embeddings(0.6))
    random.Random(0).shuffle(shuffled)
    spec = SPEC.model_copy(
        update={"protocols": ("ridge", "knn", "few_shot", "sgd"), "few_shots": (1,), "sgd_epochs": 3}
    )
    assert list(score_embeddings(shuffled, TOP1, spec, ALL)) == list(score_embeddings(found, TOP1, spec, ALL))


def test_concepts_that_were_generated_are_told_from_those_that_were_not() -> None:
    known = frozenset({"CONCEPT 0", "concept-1"})
    scores = list(score_embeddings(list(embeddings(10.0)), TOP1, SPEC, known))
    sizes = {(one.benchmark, one.subset): one.test_size for one in scores}
    assert sizes == {
        (benchmark, subset): size
        for benchmark in ("styles", "styles_categories")
        for subset, size in (("all", 12), ("seen", 4), ("unseen", 8))
    }
    assert {one.subset for one in scored(10.0)} == {"all"}  # every concept was generated: nothing to tell apart
    nothing = score_embeddings(list(embeddings(10.0)), TOP1, SPEC, frozenset())
    assert {one.subset for one in nothing} == {"all", "unseen"}
    assert len({one.id for one in scores}) == len(scores)


def test_several_classes_an_image_are_scored_by_map_alone() -> None:
    found = [replace(one, labels=(*one.labels, "thing")) for one in splits(train=3, test=1)]
    for metric, subset in (("map11", "all"), ("map11", "unseen")):
        job = EvaluationJob(0, metric)  # type: ignore[arg-type]
        values = {one.subset: one.value for one in score_embeddings(found, job, SPEC, ALL) if one.protocol == "ridge"}
        assert values[subset] == 1.0
    with pytest.raises(ContractError, match="map11 takes any number"):
        list(score_embeddings(found, TOP1, SPEC, ALL))


@pytest.mark.parametrize("metric", ["top1", "mean_per_class", "map11"])
def test_every_protocol_answers_for_every_metric(metric: Metric) -> None:
    spec = ScoresSpec(
        protocols=("ridge", "knn", "logistic", "sgd", "few_shot"), few_shots=(1, 1), few_shot_repeats=2, sgd_epochs=5
    )
    scores = list(score_embeddings(splits(train=3, test=2), EvaluationJob(0, metric), spec, ALL))
    assert [one.protocol for one in scores] == ["ridge", "knn", "logistic", "sgd", "sgd_best", "few_shot_1"]
    assert all(0 <= one.low <= one.value <= one.high <= 1 for one in scores)
    assert {one.protocol for one in scores if one.value == 1.0} >= {"ridge", "knn", "logistic"}


def test_images_and_prompts_in_one_space_are_scored_without_training() -> None:
    images = [replace(one, encoder="joint") for one in embeddings(10.0)]
    prompts = []
    for group, names, spread in ((TEXT, 6, 1), (TEXT_OF_CATEGORIES, 2, 3)):
        for name in range(names):
            feature = np.zeros(12, "<f4")
            feature[name * spread : (name + 1) * spread] = 1.0
            label = f"{'concept' if group == TEXT else 'category'} {name}"
            prompts.append(
                replace(images[0], id=f"{group}{name}", group=group, labels=(label,), feature=feature.tobytes())
            )
    scores = list(score_embeddings([*prompts, *images], TOP1, SPEC, ALL))
    assert {(one.encoder, one.protocol, one.value) for one in scores} == {("trained", "zero_shot", 1.0)}
    assert {one.benchmark for one in scores} == {"styles", "styles_categories"}


def stage(folder: Path, name: str, count: int) -> Stage:
    return Stage(name=name, lineage=Lineage("abc"), folder=str(folder / name), count=count, facts={})


def table_of(concepts: Stage, names: Sequence[str]) -> ShardAddress:
    rows = [make_concept(name) for name in names]
    make_shard(concepts.table, concept_record.CONTRACT, lambda: rows, tar=False)
    return concepts.table


def test_the_table_is_sealed_and_summed_up_in_lines(tmp_path: Path) -> None:
    encoders = {"trained": 10.0, "random-0": 0.3, "random-1": 0.2, "hog": 1.0}
    sources, tables = stage(tmp_path, "embeddings", 4), stage(tmp_path, "scores", 4)
    for source, (name, signal) in zip(sources.shards(), encoders.items(), strict=True):
        make_shard(source, embedding.CONTRACT, lambda n=name, s=signal: embeddings(s, n))
    concepts = table_of(stage(tmp_path, "concepts", 1), [f"concept {number}" for number in range(CONCEPTS)])
    work = Work(tables, tuple(range(4)), SPEC, ScoreInputs(sources, (TOP1,) * 4, concepts), 0)
    for index, table in enumerate(tables.shards()):
        manifest = measure_shard(work, index)
        assert read_rows(table).num_rows == manifest.accepted == 2 * 2 * 3
        assert measure_shard(work, index) == manifest
    first, *rest = headline(tables)
    assert first.startswith("styles (ridge): this encoder 100.0 %, random init ")
    assert " ± " in first
    assert first.endswith("chance 16.67 %")
    assert [line.partition(":")[0] for line in rest if " probes chose an end " not in line] == [
        "styles (knn)",
        "styles_categories (ridge)",
        "styles_categories (knn)",
    ]


def test_a_grid_that_may_be_too_narrow_is_told_once_a_protocol(tmp_path: Path) -> None:
    tables = stage(tmp_path, "scores", 1)
    first = scored(10.0)[0]
    made = []
    for number, (protocol, settings) in enumerate(
        [
            ("ridge", {"penalty": 1e-5, "penalty_at_edge": 1.0}),
            ("ridge", {"penalty": 0.1}),
            ("few_shot_5", {"penalty": 100.0, "penalty_at_edge": 1.0, "shots": 5.0}),
            ("sgd", {"lr": 0.5, "lr_at_edge": 1.0}),
            ("knn", {"k": 10.0}),
        ]
    ):
        made += [
            replace(first, id=f"{number}-{subset}", protocol=protocol, settings=settings, subset=subset)
            for subset in ("all", "seen")
        ]
    make_shard(tables.table, score.CONTRACT, lambda: made, tar=False)
    assert headline(tables)[8:] == [
        "styles (ridge): 1 of 2 probes chose an end of the grid, penalty 1e-05; a wider scores.ridge_penalties may score higher",
        "styles (sgd): 1 of 1 probes chose an end of the grid, lr 0.5",
        "styles (few_shot_5): 1 of 1 probes chose an end of the grid, penalty 100; a wider scores.ridge_penalties may score "
        "higher",
    ]


@pytest.mark.parametrize(("appended", "expected"), [((), {"all", "unseen"}), ((" car",), {"all", "seen", "unseen"})])
def test_what_a_list_appends_to_names_hides_no_class(
    appended: tuple[str, ...], expected: set[str], tmp_path: Path
) -> None:
    sources, tables = stage(tmp_path, "embeddings", 1), stage(tmp_path, "scores", 1)
    make_shard(sources.table, embedding.CONTRACT, lambda: embeddings(10.0))
    cars = table_of(stage(tmp_path, "concepts", 1), [f"concept {number} car" for number in range(3)])
    inputs = ScoreInputs(sources, (replace(TOP1, appended=appended),), cars)
    measure_shard(Work(tables, (0,), SPEC, inputs, 0), 0)
    assert set(read_rows(tables.table)["subset"].to_pylist()) == expected


def test_the_concept_table_is_read_once_for_all_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources, tables = stage(tmp_path, "embeddings", 2), stage(tmp_path, "scores", 2)
    for source in sources.shards():
        make_shard(source, embedding.CONTRACT, lambda: embeddings(10.0))
    concepts, reads = table_of(stage(tmp_path, "concepts", 1), ["concept 0"]), []

    def counted(address: ShardAddress, columns: list[str]) -> pa.Table:
        reads.append(address)
        return read_rows(address, columns)

    monkeypatch.setattr(measure, "read_rows", counted)
    for index in range(2):
        measure_shard(Work(tables, (0, 1), SPEC, ScoreInputs(sources, (TOP1, TOP1), concepts), 0), index)
    assert reads == [concepts]
