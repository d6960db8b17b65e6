"""Protocols: train a probe on a fold's training rows, choose its hyper-parameters there, decide about its test rows. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from data_specs.ids import seed_of
from data_specs.specs.embeddings import Metric
from data_specs.specs.scores import ProtocolName, ScoresSpec
from models.probes import knn
from models.probes.labels import Decisions, Features, Labels, targets_of
from models.probes.logistic import Logistic
from models.probes.ridge import fit_ridge
from models.probes.sgd import Epoch, train_sgd
from tasks.scores.folds import Fold, Rows
from tasks.scores.metrics import value_of
from tasks.scores.search import best_place

LOGISTIC_PENALTIES = np.logspace(5, -6, 45)
"""SynCLR appendix B.5, the largest first."""
SGD_LRS = tuple(rate / 100 for rate in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50))
"""SynCLR Table 13, for a batch of 256."""
SGD_BATCH = 1024
SGD_EVALUATIONS = 9
"""So many times in a training the classifiers are evaluated: every 10 of 90 epochs."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Classify the test rows of a fold by a probe that is trained on its training rows; `classes` is how many there are."""

    features_ND: Features
    labels: Labels
    classes: int
    fold: Fold
    metric: Metric
    seed: int

    def score(self, decisions_MC: Decisions, rows: Rows) -> float:
        return value_of(self.metric, decisions_MC, self.labels[rows])


@dataclass(frozen=True, slots=True)
class ProtocolResult:
    """Decisions about the fold's test rows, once or for each repeat, and the settings that were used."""

    protocol: str
    repeats: tuple[Decisions, ...]
    settings: dict[str, float]


Protocol = Callable[[Problem, ScoresSpec], Iterator[ProtocolResult]]


def by_ridge(problem: Problem, spec: ScoresSpec) -> Iterator[ProtocolResult]:
    """A linear probe in closed form; its penalty is the best on the fold's validations, the larger one on a tie."""
    fold = problem.fold
    penalty, settings = _ridge_penalty(problem, spec, fold.validations)
    yield ProtocolResult("ridge", (_ridge(problem, fold.train, fold.test, penalty),), settings)


def _ridge_penalty(
    problem: Problem, spec: ScoresSpec, validations: Sequence[tuple[Rows, Rows]]
) -> tuple[float, dict[str, float]]:
    """The penalty, and what the scores tell of it."""
    penalties = sorted(spec.ridge_penalties, reverse=True)
    score = np.zeros(len(penalties))
    for fit, validate in validations:
        probes = fit_ridge(problem.features_ND[fit], problem.labels[fit], problem.classes, penalties)
        score += [problem.score(probe.decide(problem.features_ND[validate]), validate) for probe in probes]
    best = best_place(lambda place: float(score[place]), len(penalties), every=True)
    return penalties[best.place], best.settings("penalty", penalties[best.place])


def _ridge(problem: Problem, fit: Rows, test: Rows, penalty: float) -> Decisions:
    [probe] = fit_ridge(problem.features_ND[fit], problem.labels[fit], problem.classes, [penalty])
    return probe.decide(problem.features_ND[test])


def by_knn(problem: Problem, spec: ScoresSpec) -> Iterator[ProtocolResult]:
    features_ND, labels, fold = problem.features_ND, problem.labels, problem.fold
    votes_MC = knn.votes(
        features_ND[fold.train], labels[fold.train], features_ND[fold.test], problem.classes, spec.knn_k,
        spec.knn_temperature,
    )  # fmt: skip
    yield ProtocolResult("knn", (votes_MC,), {"k": float(spec.knn_k), "temperature": spec.knn_temperature})


def by_logistic(problem: Problem, spec: ScoresSpec) -> Iterator[ProtocolResult]:
    """SynCLR appendix B.5: choose the penalty that is best on the validations, then fit again on all training rows."""
    features_ND, fold = problem.features_ND, problem.fold

    def probe(rows: Rows) -> Logistic:
        return Logistic(features_ND[rows], problem.labels[rows], problem.classes, spec.logistic_iterations)

    probes = [(probe(fit), validate) for fit, validate in fold.validations]

    def score(place: int) -> float:
        values = []
        for fitted, validate in probes:
            fitted.fit(float(LOGISTIC_PENALTIES[place]))
            values.append(problem.score(fitted.decide(features_ND[validate]), validate))
        return float(np.mean(values))

    best = best_place(score, len(LOGISTIC_PENALTIES), spec.logistic_every_penalty)
    penalty = float(LOGISTIC_PENALTIES[best.place])
    last = probe(fold.train)
    settings = best.settings("penalty", penalty) | {"iterations": last.fit(penalty)}
    yield ProtocolResult("logistic", (last.decide(features_ND[fold.test]),), settings)


def by_sgd(problem: Problem, spec: ScoresSpec) -> Iterator[ProtocolResult]:
    """`sgd`: the last epoch at the learning rate that is best on the validations. `sgd_best`: the best of all on the test.

    The second is what SynCLR's reference reports (the maximum over rates and epochs on the very images it is tested on),
    and so a little too high; it is reported beside the first to show by how much.
    """
    fold, last = problem.fold, np.zeros(len(SGD_LRS))
    for fit, validate in fold.validations:
        *_, epoch = _train(problem, spec, fit, validate)
        last += [problem.score(decisions_MC, validate) for decisions_MC in epoch.decisions_RMC]
    chosen = best_place(lambda place: float(last[place]), len(SGD_LRS), every=True)
    highest, best, epoch = -1.0, ProtocolResult("sgd_best", (), {}), Epoch(0, np.zeros(0, np.float32))
    for epoch in _train(problem, spec, fold.train, fold.test):
        for lr, decisions_MC in zip(SGD_LRS, epoch.decisions_RMC, strict=True):
            if (score := problem.score(decisions_MC, fold.test)) > highest:
                highest, best = score, ProtocolResult("sgd_best", (decisions_MC,), {"lr": lr, "epoch": epoch.done})
    settings = chosen.settings("lr", SGD_LRS[chosen.place]) | {"epoch": epoch.done}
    yield ProtocolResult("sgd", (epoch.decisions_RMC[chosen.place],), settings)
    yield best


def _train(problem: Problem, spec: ScoresSpec, fit: Rows, test: Rows) -> Iterator[Epoch]:
    return train_sgd(
        problem.features_ND[fit],
        problem.labels[fit],
        problem.features_ND[test],
        problem.classes,
        lrs=SGD_LRS,
        epochs=spec.sgd_epochs,
        every=max(1, spec.sgd_epochs // SGD_EVALUATIONS),
        batch=SGD_BATCH,
        seed=problem.seed,
    )


def by_few_shots(problem: Problem, spec: ScoresSpec) -> Iterator[ProtocolResult]:
    """The closed-form probe (as in few-shot figures of ViT, arXiv 2010.11929) on n images a class, drawn several times.

    Its penalty is chosen on the validations, from as few images; a class with fewer than n gives all it has.
    """
    fold = problem.fold
    for shots in dict.fromkeys(spec.few_shots):
        few = [
            (_few(problem, fit, shots, f"validation {i}"), validate)
            for i, (fit, validate) in enumerate(fold.validations)
        ]
        penalty, chosen = _ridge_penalty(problem, spec, few)
        repeats = tuple(
            _ridge(problem, _few(problem, fold.train, shots, str(repeat)), fold.test, penalty)
            for repeat in range(spec.few_shot_repeats)
        )
        settings = {"shots": shots, "repeats": len(repeats)} | chosen
        yield ProtocolResult(f"few_shot_{shots}", repeats, settings)


def _few(problem: Problem, rows: Rows, shots: int, about: str) -> Rows:
    """Draw `shots` rows of each class without replacement."""
    generator = np.random.default_rng(seed_of("few shots", problem.seed, problem.fold.name, shots, about))
    targets = targets_of(problem.labels[rows], problem.classes)
    drawn = [generator.permutation(rows[targets[:, place] > 0])[:shots] for place in range(problem.classes)]
    return np.unique(np.concatenate(drawn))


PROTOCOLS: dict[ProtocolName, Protocol] = {
    "ridge": by_ridge,
    "knn": by_knn,
    "logistic": by_logistic,
    "sgd": by_sgd,
    "few_shot": by_few_shots,
}
