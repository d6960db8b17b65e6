"""Scores of features whose answer is known, and the table they end in."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from data_specs import concept as concept_record
from data_specs import embedding
from data_specs.embedding import TEXT, TEXT_OF_CATEGORIES, Embedding
from data_specs.errors import ContractError
from data_specs.run import Metric, ScoresSpec
from data_specs.score import Score
from data_specs.shard import ShardAddress
from support.builders import make_concept
from tasks.scores.folds import given_splits, held_out_copies, held_out_groups
from tasks.scores.measure import Exam, measure, measure_shard
from tasks.scores.summary import headline
from tasks.shards import make_shard, read_rows

TOP1 = Exam(seed=0, metric="top1")
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
    return list(measure(list(embeddings(signal, benchmark=benchmark)), TOP1, SPEC, ALL))


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


def test_a_fold_tests_the_first_half_of_the_copies_of_a_style_it_never_learned_from() -> None:
    groups = [style for style in STYLES for _ in range(COPIES)]
    copies = list(range(COPIES)) * 3
    for fold in held_out_groups(groups, copies, 0):
        assert {groups[i] for i in fold.test} == {fold.name}
        assert {copies[i] for i in fold.test} == {0, 1}
        assert fold.name not in {groups[i] for i in fold.train}
        for fit, judge in fold.validations:
            assert set(fit) | set(judge) == set(fold.train)
            assert not {groups[i] for i in fit} & {groups[i] for i in judge}


def test_fresh_scenes_are_tested_on_copies_that_no_probe_or_penalty_saw() -> None:
    [fold] = held_out_copies(["a"] * 4, [0, 1, 2, 3], 0)
    assert (fold.train.tolist(), fold.test.tolist()) == ([0, 1, 2], [3])
    assert [(fit.tolist(), judge.tolist()) for fit, judge in fold.validations] == [([0, 1], [2])]
    assert {score.fold for score in scored(10.0, "training_styles")} == {"fresh_scenes"}


def test_a_benchmark_that_cannot_be_cut_is_refused() -> None:
    with pytest.raises(ContractError, match="train and test"):
        scored(1.0, "unheard_of")
    with pytest.raises(ContractError, match="three groups"):
        list(held_out_groups(["a", "b"], [0, 0], 0))
    with pytest.raises(ContractError, match="copies"):
        list(held_out_copies(["a", "b"], [0, 0], 0))
    with pytest.raises(ContractError, match="without pictures"):
        list(measure([], TOP1, SPEC, ALL))


def splits(**counts: int) -> list[Embedding]:
    """A data set with so many copies of each concept in each split."""
    return [
        replace(found, id=f"{split} {found.id}", group=split, benchmark="pets", copy=0)
        for split, count in counts.items()
        for found in embeddings(10.0, benchmark="pets")
        if found.group == "a" and found.copy < count
    ]


def test_a_data_set_is_cut_as_it_says_and_fitted_anew_on_all_it_may_learn_from() -> None:
    groups = ["train", "validation", "train", "test"]
    [fold] = given_splits(groups, [0] * 4, 0)
    assert (fold.train.tolist(), fold.test.tolist()) == ([0, 1, 2], [3])
    assert [(fit.tolist(), judge.tolist()) for fit, judge in fold.validations] == [([0, 2], [1])]
    [score, _] = measure(splits(train=2, test=1), TOP1, SPEC, ALL)
    assert (score.benchmark, score.fold, score.value, score.train_size, score.test_size) == ("pets", "test", 1.0, 12, 6)


def test_without_a_validation_split_a_random_fifth_of_train_serves_by_seed() -> None:
    groups = ["train"] * 50 + ["test"]
    [[fold], [again], [other]] = [list(given_splits(groups, [0] * 51, seed)) for seed in (1, 1, 2)]
    [(fit, judge)] = fold.validations
    assert (len(fit), len(judge), sorted([*fit, *judge])) == (40, 10, list(range(50)))
    assert fold.train.tolist() == list(range(50))
    assert again.validations[0][1].tolist() == judge.tolist() != other.validations[0][1].tolist()
    with pytest.raises(ContractError, match="train and test"):
        list(given_splits(["train"] * 3, [0] * 3, 0))
    with pytest.raises(ContractError, match="one picture"):
        list(given_splits(["train", "test"], [0] * 2, 0))


def test_a_class_that_is_tested_and_never_taught_is_named() -> None:
    found = [one for one in splits(train=2, test=1) if (one.group, one.labels) != ("train", ("concept 3",))]
    with pytest.raises(ContractError, match="1 classes are tested and never taught .concept 3"):
        list(measure(found, TOP1, SPEC, ALL))


def test_no_score_depends_on_the_order_of_rows() -> None:
    found, shuffled = list(embeddings(0.6)), list(embeddings(0.6))
    random.Random(0).shuffle(shuffled)
    spec = SPEC.model_copy(
        update={"protocols": ("ridge", "knn", "few_shot", "sgd"), "few_shots": (1,), "sgd_epochs": 3}
    )
    assert list(measure(shuffled, TOP1, spec, ALL)) == list(measure(found, TOP1, spec, ALL))


def test_concepts_that_were_generated_are_told_from_those_that_were_not() -> None:
    known = frozenset({"CONCEPT 0", "concept-1"})
    scores = list(measure(list(embeddings(10.0)), TOP1, SPEC, known))
    sizes = {(one.benchmark, one.subset): one.test_size for one in scores}
    assert sizes == {
        (benchmark, subset): size
        for benchmark in ("styles", "styles_categories")
        for subset, size in (("all", 12), ("seen", 4), ("unseen", 8))
    }
    assert {one.subset for one in scored(10.0)} == {"all"}  # every concept was generated: nothing to tell apart
    nothing = measure(list(embeddings(10.0)), TOP1, SPEC, frozenset())
    assert {one.subset for one in nothing} == {"all", "unseen"}
    assert len({one.id for one in scores}) == len(scores)


def test_several_classes_a_picture_are_scored_by_map_alone() -> None:
    found = [replace(one, labels=(*one.labels, "thing")) for one in splits(train=3, test=1)]
    for metric, subset in (("map11", "all"), ("map11", "unseen")):
        exam = Exam(0, metric)  # type: ignore[arg-type]
        values = {one.subset: one.value for one in measure(found, exam, SPEC, ALL) if one.protocol == "ridge"}
        assert values[subset] == 1.0
    with pytest.raises(ContractError, match="map11 takes any number"):
        list(measure(found, TOP1, SPEC, ALL))


@pytest.mark.parametrize("metric", ["top1", "mean_per_class", "map11"])
def test_every_protocol_answers_for_every_metric(metric: Metric) -> None:
    spec = ScoresSpec(
        protocols=("ridge", "knn", "logistic", "sgd", "few_shot"), few_shots=(1, 1), few_shot_repeats=2, sgd_epochs=5
    )
    scores = list(measure(splits(train=3, test=2), Exam(0, metric), spec, ALL))
    assert [one.protocol for one in scores] == ["ridge", "knn", "logistic", "sgd", "sgd_best", "few_shot_1"]
    assert all(0 <= one.low <= one.value <= one.high <= 1 for one in scores)
    assert {one.protocol for one in scores if one.value == 1.0} >= {"ridge", "knn", "logistic"}


def test_pictures_and_sentences_in_one_space_are_scored_without_learning() -> None:
    pictures = [replace(one, encoder="joint") for one in embeddings(10.0)]
    said = []
    for group, names, spread in ((TEXT, 6, 1), (TEXT_OF_CATEGORIES, 2, 3)):
        for name in range(names):
            feature = np.zeros(12, "<f4")
            feature[name * spread : (name + 1) * spread] = 1.0
            label = f"{'concept' if group == TEXT else 'category'} {name}"
            said.append(
                replace(pictures[0], id=f"{group}{name}", group=group, labels=(label,), feature=feature.tobytes())
            )
    scores = list(measure([*said, *pictures], TOP1, SPEC, ALL))
    assert {(one.encoder, one.protocol, one.value) for one in scores} == {("trained", "zero_shot", 1.0)}
    assert {one.benchmark for one in scores} == {"styles", "styles_categories"}


def test_the_table_is_sealed_and_summed_up_in_lines(address: Callable[..., ShardAddress]) -> None:
    encoders = {"trained": 10.0, "random-0": 0.3, "random-1": 0.2, "hog": 1.0}
    sources = []
    for index, (name, signal) in enumerate(encoders.items()):
        sources.append(address(index, room="embeddings"))
        make_shard(sources[-1], embedding.CONTRACT, lambda n=name, s=signal: embeddings(s, n))
    tables = [address(index, room="scores") for index in range(4)]
    concepts = address(room="concepts")
    names = [make_concept(f"concept {number}") for number in range(CONCEPTS)]
    make_shard(concepts, concept_record.CONTRACT, lambda: names, tar=False)
    for source, table in zip(sources, tables, strict=True):
        manifest = measure_shard(source, TOP1, concepts, table, SPEC)
        assert read_rows(table).num_rows == manifest.accepted == 2 * 2 * 3
        assert measure_shard(source, TOP1, concepts, table, SPEC) == manifest
    cars = address(1, room="concepts")
    make_shard(cars, concept_record.CONTRACT, lambda: [make_concept(f"concept {n} car") for n in range(3)], tar=False)
    for exam, subsets in ((TOP1, {"all", "unseen"}), (replace(TOP1, appended=(" car",)), {"all", "seen", "unseen"})):
        table = address(len(subsets), room="scores", lineage="cars")
        measure_shard(sources[0], exam, cars, table, SPEC)
        assert set(read_rows(table)["subset"].to_pylist()) == subsets
    first, *rest = headline(tables)
    assert first.startswith("styles (ridge): this encoder 100.0 %, random init ")
    assert " ± " in first
    assert first.endswith("chance 16.67 %")
    assert [line.partition(":")[0] for line in rest] == [
        "styles (knn)",
        "styles_categories (ridge)",
        "styles_categories (knn)",
    ]
