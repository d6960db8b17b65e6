"""Scores of features whose answer is known, and the table they end in."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from data_specs import embedding
from data_specs.embedding import Embedding
from data_specs.errors import ContractError
from data_specs.run import ScoresSpec
from data_specs.score import Score
from data_specs.shard import ShardAddress
from tasks.scores.folds import held_out_copies, held_out_groups
from tasks.scores.measure import measure, measure_table
from tasks.scores.summary import headline
from tasks.shards import make_shard, read_rows

SPEC = ScoresSpec(knn_k=3, ridge_penalties=(0.01, 1.0))
CONCEPTS, STYLES, COPIES = 6, ("a", "b", "c"), 4


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
                    label=f"concept {concept}",
                    category=f"category {concept // 3}",
                    copy=copy,
                    dimension=12,
                    feature=feature.tobytes(),
                )


def scored(signal: float, benchmark: str = "styles") -> list[Score]:
    return list(measure(list(embeddings(signal, benchmark=benchmark)), 0, SPEC))


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
    for fold in held_out_groups(groups, copies):
        assert {groups[i] for i in fold.test} == {fold.name}
        assert {copies[i] for i in fold.test} == {0, 1}
        assert fold.name not in {groups[i] for i in fold.train}
        for fit, judge in fold.validations:
            assert set(fit) | set(judge) == set(fold.train)
            assert not {groups[i] for i in fit} & {groups[i] for i in judge}


def test_fresh_scenes_are_tested_on_copies_that_no_probe_or_penalty_saw() -> None:
    [fold] = held_out_copies(["a"] * 4, [0, 1, 2, 3])
    assert (fold.train.tolist(), fold.test.tolist()) == ([0, 1, 2], [3])
    assert [(fit.tolist(), judge.tolist()) for fit, judge in fold.validations] == [([0, 1], [2])]
    assert {score.fold for score in scored(10.0, "training_styles")} == {"fresh_scenes"}


def test_a_benchmark_that_cannot_be_cut_is_refused() -> None:
    with pytest.raises(ContractError, match="FOLDS"):
        scored(1.0, "unheard_of")
    with pytest.raises(ContractError, match="three groups"):
        list(held_out_groups(["a", "b"], [0, 0]))
    with pytest.raises(ContractError, match="copies"):
        list(held_out_copies(["a", "b"], [0, 0]))


def test_the_table_is_sealed_and_summed_up_in_lines(address: Callable[..., ShardAddress]) -> None:
    encoders = {"trained": 10.0, "random-0": 0.3, "random-1": 0.2, "hog": 1.0}
    sources = []
    for index, (name, signal) in enumerate(encoders.items()):
        sources.append(address(index, room="embeddings"))
        make_shard(sources[-1], embedding.CONTRACT, lambda n=name, s=signal: embeddings(s, n))
    table = address(room="scores")
    manifest = measure_table(sources, [0] * 4, table, SPEC)
    assert read_rows(table).num_rows == manifest.accepted == 4 * 2 * 2 * 3
    assert measure_table(sources, [0] * 4, table, SPEC) == manifest
    first, *rest = headline(table)
    assert first.startswith("styles (ridge): this encoder 100.0 %, random init ")
    assert " ± " in first
    assert first.endswith("chance 16.67 %")
    assert [line.partition(":")[0] for line in rest] == [
        "styles (knn)",
        "styles_categories (ridge)",
        "styles_categories (knn)",
    ]
