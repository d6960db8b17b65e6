"""Every protocol on data whose answer is known: what can be told apart is, noise is not, nothing is chosen on the test."""

from collections.abc import Sequence

import numpy as np
import pytest

from data_specs.embedding import TEXT, Embedding
from data_specs.errors import ContractError
from data_specs.specs.embeddings import Metric
from data_specs.specs.scores import ScoresSpec
from tasks.scores import protocols
from tasks.scores.folds import given_splits
from tasks.scores.protocols import PROTOCOLS, Problem, ProtocolResult
from tasks.scores.zero_shot import by_text, class_embeddings

SPEC = ScoresSpec(sgd_epochs=20, few_shots=(2, 4), few_shot_repeats=3, logistic_iterations=100)
CLASSES = 4


def problem(signal: float, *, rows: int = 160, metric: Metric = "top1", several: bool = False) -> Problem:
    generator = np.random.default_rng(5)
    labels = np.arange(rows) % CLASSES
    features = (generator.normal(size=(rows, 12)) + signal * np.eye(CLASSES, 12)[labels]).astype(np.float32)
    groups = ["test" if row % 3 == 0 else "train" for row in range(rows)]
    [fold] = given_splits(groups, [0] * rows, seed=0)
    wanted = np.eye(CLASSES, dtype=np.int64)[labels] if several else labels
    return Problem(features, wanted, CLASSES, fold, metric, seed=0)


def results_of(name: str, about: Problem, spec: ScoresSpec = SPEC) -> list[ProtocolResult]:
    return list(PROTOCOLS[name](about, spec))  # type: ignore[index]


def values(about: Problem, result: ProtocolResult) -> list[float]:
    return [about.score(decisions, about.fold.test) for decisions in result.repeats]


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize(("metric", "several"), [("top1", False), ("mean_per_class", False), ("map11", True)])
def test_what_can_be_told_apart_scores_one(name: str, metric: Metric, several: bool) -> None:
    about = problem(30.0, metric=metric, several=several)
    for result in results_of(name, about):
        # Of a few rows in many directions the closed form makes something of the noise as well.
        least = 0.8 if name == "few_shot" else 1.0
        assert min(values(about, result)) >= least
        assert all(decisions.shape == (len(about.fold.test), CLASSES) for decisions in result.repeats)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_noise_scores_about_chance(name: str) -> None:
    about = problem(0.0, rows=900)
    for result in results_of(name, about):
        assert abs(np.mean(values(about, result)) - 0.25) < 0.09


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_same_problem_has_the_same_answer(name: str) -> None:
    about = problem(1.0)
    for first, again in zip(results_of(name, about), results_of(name, about), strict=True):
        assert first.settings == again.settings
        assert all(np.array_equal(one, other) for one, other in zip(first.repeats, again.repeats, strict=True))


@pytest.mark.parametrize("name", sorted(set(PROTOCOLS) - {"sgd"}))
def test_nothing_is_chosen_on_the_test(name: str) -> None:
    about = problem(1.0)
    labels = about.labels.copy()
    labels[about.fold.test] = 0
    blind = Problem(about.features_ND, labels, CLASSES, about.fold, about.metric, about.seed)
    for one, other in zip(results_of(name, about), results_of(name, blind), strict=True):
        assert one.settings == other.settings
        assert all(np.array_equal(a, b) for a, b in zip(one.repeats, other.repeats, strict=True))


def test_sgd_says_the_last_epoch_and_the_best_which_alone_looks_at_the_test() -> None:
    about = problem(0.7)
    last, best = results_of("sgd", about)
    assert (last.protocol, best.protocol) == ("sgd", "sgd_best")
    assert last.settings["epoch"] == SPEC.sgd_epochs
    assert values(about, best)[0] >= values(about, last)[0]
    assert {last.settings["lr"], best.settings["lr"]} <= set(protocols.SGD_LRS)


class Known:
    """A probe that names so large a share of the images rightly."""

    def __init__(self, share: float) -> None:
        self._share = share

    def decide(self, features: np.ndarray) -> np.ndarray:
        labels = features[:, 0].astype(int)
        wrong = np.arange(len(labels)) >= self._share * len(labels)
        return np.eye(CLASSES, dtype=np.float32)[(labels + wrong) % CLASSES]


@pytest.mark.parametrize("name", ["ridge", "few_shot"])
@pytest.mark.parametrize(
    ("shares", "chosen", "at_edge"),
    [
        ((0.3, 0.4, 0.9), 10.0, True),
        ((0.9, 0.4, 0.3), 0.1, True),
        ((0.3, 0.9, 0.4), 1.0, False),
        ((0.5,) * 3, 10.0, False),
    ],
)
def test_an_end_of_the_grid_that_is_better_than_the_penalty_beside_it_is_told(
    name: str, shares: tuple[float, ...], chosen: float, at_edge: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    share_of = dict(zip((0.1, 1.0, 10.0), shares, strict=True))

    def fit_known(*given: object) -> list[Known]:
        return [Known(share_of[penalty]) for penalty in given[-1]]  # type: ignore[attr-defined]

    monkeypatch.setattr(protocols, "fit_ridge", fit_known)
    about = problem(1.0)
    about.features_ND[:, 0] = about.labels
    spec = SPEC.model_copy(update={"ridge_penalties": tuple(share_of)})
    for result in results_of(name, about, spec):
        assert result.settings["penalty"] == chosen
        assert ("penalty_at_edge" in result.settings) == at_edge


def test_the_grid_of_penalties_goes_from_a_hundred_thousandth_to_a_hundred() -> None:
    assert (min(SPEC.ridge_penalties), max(SPEC.ridge_penalties)) == (1e-5, 100.0)


def test_every_penalty_of_the_paper_is_tried_on_request() -> None:
    assert len(protocols.LOGISTIC_PENALTIES) == 45
    assert (min(protocols.LOGISTIC_PENALTIES), max(protocols.LOGISTIC_PENALTIES)) == pytest.approx((1e-6, 1e5))
    about = problem(1.0)
    [coarse], [whole] = (
        results_of("logistic", about, SPEC.model_copy(update={"logistic_every_penalty": every}))
        for every in (False, True)
    )
    assert abs(values(about, coarse)[0] - values(about, whole)[0]) < 0.1


def test_a_few_shots_are_so_many_of_each_class_and_others_each_time() -> None:
    about = problem(1.0)
    drawn = [protocols._few(about, about.fold.train, 3, str(repeat)) for repeat in range(2)]
    for rows in drawn:
        assert np.bincount(about.labels[rows]).tolist() == [3] * CLASSES
        assert set(rows) <= set(about.fold.train)
    assert set(drawn[0]) != set(drawn[1])
    results = results_of("few_shot", about)
    assert [(one.protocol, len(one.repeats)) for one in results] == [("few_shot_2", 3), ("few_shot_4", 3)]


def prompt(name: str, place: int, feature: Sequence[float]) -> Embedding:
    data = np.array(feature, "<f4")
    return Embedding(f"{name}{place}", "joint", "b", TEXT, (name,), "", place, len(data), data.tobytes())


def test_sentences_are_normalised_then_averaged_then_normalised() -> None:
    prompts = [prompt("cat", 0, [10, 0]), prompt("cat", 1, [0, 0.1]), prompt("dog", 0, [-3, 4])]
    classes, templates = class_embeddings(["cat", "dog"], prompts)
    assert templates == 2
    # By hand: (1, 0) and (0, 1) average to (.5, .5), of length 1 at (.707, .707); lengths of sentences do not count.
    assert np.allclose(classes, [[0.5**0.5, 0.5**0.5], [-0.6, 0.8]])
    about = problem(0.0)
    two = Problem(
        np.tile(np.array([[5.0, 5.0], [-0.1, 0.1]], np.float32), (80, 1)), np.arange(160) % 2, 2, about.fold, "top1", 0
    )
    result = by_text(two, ["cat", "dog"], prompts)
    assert values(two, result) == [1.0]
    assert result.settings == {"templates": 2}


def test_a_class_without_a_sentence_is_named() -> None:
    with pytest.raises(ContractError, match="'dog'"):
        class_embeddings(["cat", "dog"], [prompt("cat", 0, [1, 0])])
