"""A problem enters: features, answers and a fold; decisions about its test rows, and the settings chosen, leave. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from data_specs.ids import seed_of
from data_specs.run import Metric, ProtocolName, ScoresSpec
from models.probes import knn
from models.probes.labels import Answers, Decisions, Features, targets_of
from models.probes.logistic import Logistic
from models.probes.ridge import fit_ridge
from models.probes.sgd import Epoch, train_sgd
from tasks.scores.folds import Fold, Rows
from tasks.scores.metrics import measured
from tasks.scores.search import best_place

LOGISTIC_PENALTIES = np.logspace(5, -6, 45)
"""SynCLR appendix B.5, the largest first: each fit then starts from a smoother one."""
SGD_LRS = tuple(rate / 100 for rate in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50))
"""SynCLR Table 13, for a batch of 256."""
SGD_BATCH = 1024
SGD_LOOKS = 9
"""So many times in a training the classifiers are looked at: every 10 of 90 epochs."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What one probe is asked: learn from some rows which classes they show, and tell it of others."""

    features_ND: Features
    answers: Answers
    classes: int
    fold: Fold
    metric: Metric
    seed: int

    def worth(self, decisions_MC: Decisions, rows: Rows) -> float:
        return measured(self.metric, decisions_MC, self.answers[rows])


@dataclass(frozen=True, slots=True)
class Judged:
    """`tries` are decisions about the fold's test rows: one, or one a repeat."""

    protocol: str
    tries: tuple[Decisions, ...]
    settings: dict[str, float]


Protocol = Callable[[Problem, ScoresSpec], Iterator[Judged]]


def by_ridge(problem: Problem, spec: ScoresSpec) -> Iterator[Judged]:
    """A linear probe in closed form; its penalty is the best on the fold's validations, the larger one on a tie."""
    fold = problem.fold
    penalty = _ridge_penalty(problem, spec, fold.validations)
    yield Judged("ridge", (_ridge(problem, fold.train, fold.test, penalty),), {"penalty": penalty})


def _ridge_penalty(problem: Problem, spec: ScoresSpec, validations: Sequence[tuple[Rows, Rows]]) -> float:
    penalties = sorted(spec.ridge_penalties, reverse=True)
    worth = np.zeros(len(penalties))
    for fit, judge in validations:
        probes = fit_ridge(problem.features_ND[fit], problem.answers[fit], problem.classes, penalties)
        worth += [problem.worth(probe.decide(problem.features_ND[judge]), judge) for probe in probes]
    return penalties[int(worth.argmax())]


def _ridge(problem: Problem, fit: Rows, test: Rows, penalty: float) -> Decisions:
    [probe] = fit_ridge(problem.features_ND[fit], problem.answers[fit], problem.classes, [penalty])
    return probe.decide(problem.features_ND[test])


def by_knn(problem: Problem, spec: ScoresSpec) -> Iterator[Judged]:
    features_ND, answers, fold = problem.features_ND, problem.answers, problem.fold
    votes_MC = knn.votes(
        features_ND[fold.train], answers[fold.train], features_ND[fold.test], problem.classes, spec.knn_k,
        spec.knn_temperature,
    )  # fmt: skip
    yield Judged("knn", (votes_MC,), {"k": float(spec.knn_k), "temperature": spec.knn_temperature})


def by_logistic(problem: Problem, spec: ScoresSpec) -> Iterator[Judged]:
    """SynCLR appendix B.5: the penalty that is best on the validations, then fitted anew on all of the training rows."""
    features_ND, fold = problem.features_ND, problem.fold

    def probe(rows: Rows) -> Logistic:
        return Logistic(features_ND[rows], problem.answers[rows], problem.classes, spec.logistic_iterations)

    probes = [(probe(fit), judge) for fit, judge in fold.validations]

    def worth(place: int) -> float:
        found = []
        for fitted, judge in probes:
            fitted.fit(float(LOGISTIC_PENALTIES[place]))
            found.append(problem.worth(fitted.decide(features_ND[judge]), judge))
        return float(np.mean(found))

    penalty = float(LOGISTIC_PENALTIES[best_place(worth, len(LOGISTIC_PENALTIES), spec.logistic_every_penalty)])
    last = probe(fold.train)
    iterations = last.fit(penalty)
    yield Judged("logistic", (last.decide(features_ND[fold.test]),), {"penalty": penalty, "iterations": iterations})


def by_sgd(problem: Problem, spec: ScoresSpec) -> Iterator[Judged]:
    """`sgd`: the last epoch at the learning rate that is best on the validations. `sgd_best`: the best of all on the test.

    The second is what SynCLR's reference reports (the maximum over rates and epochs on the very pictures it is tested on),
    and so a little too high; it stands beside the first to show by how much.
    """
    fold, last = problem.fold, np.zeros(len(SGD_LRS))
    for fit, judge in fold.validations:
        *_, epoch = _train(problem, spec, fit, judge)
        last += [problem.worth(decisions_MC, judge) for decisions_MC in epoch.decisions_RMC]
    chosen = int(last.argmax())
    best, found, epoch = -1.0, Judged("sgd_best", (), {}), Epoch(0, np.zeros(0, np.float32))
    for epoch in _train(problem, spec, fold.train, fold.test):
        for lr, decisions_MC in zip(SGD_LRS, epoch.decisions_RMC, strict=True):
            if (worth := problem.worth(decisions_MC, fold.test)) > best:
                best, found = worth, Judged("sgd_best", (decisions_MC,), {"lr": lr, "epoch": epoch.done})
    yield Judged("sgd", (epoch.decisions_RMC[chosen],), {"lr": SGD_LRS[chosen], "epoch": epoch.done})
    yield found


def _train(problem: Problem, spec: ScoresSpec, fit: Rows, judge: Rows) -> Iterator[Epoch]:
    return train_sgd(
        problem.features_ND[fit],
        problem.answers[fit],
        problem.features_ND[judge],
        problem.classes,
        lrs=SGD_LRS,
        epochs=spec.sgd_epochs,
        every=max(1, spec.sgd_epochs // SGD_LOOKS),
        batch=SGD_BATCH,
        seed=problem.seed,
    )


def by_few_shots(problem: Problem, spec: ScoresSpec) -> Iterator[Judged]:
    """The closed-form probe (as in few-shot figures of ViT, arXiv 2010.11929) on n pictures a class, drawn several times.

    Its penalty is chosen on the validations, from as few pictures; a class with fewer than n gives all it has.
    """
    fold = problem.fold
    for shots in dict.fromkeys(spec.few_shots):
        few = [(_few(problem, fit, shots, f"validation {i}"), judge) for i, (fit, judge) in enumerate(fold.validations)]
        penalty = _ridge_penalty(problem, spec, few)
        tries = tuple(
            _ridge(problem, _few(problem, fold.train, shots, str(repeat)), fold.test, penalty)
            for repeat in range(spec.few_shot_repeats)
        )
        settings = {"shots": shots, "repeats": len(tries), "penalty": penalty}
        yield Judged(f"few_shot_{shots}", tries, settings)


def _few(problem: Problem, rows: Rows, shots: int, about: str) -> Rows:
    """`shots` rows that show each class, drawn without replacement."""
    generator = np.random.default_rng(seed_of("few shots", problem.seed, problem.fold.name, shots, about))
    targets = targets_of(problem.answers[rows], problem.classes)
    drawn = [generator.permutation(rows[targets[:, place] > 0])[:shots] for place in range(problem.classes)]
    return np.unique(np.concatenate(drawn))


PROTOCOLS: dict[ProtocolName, Protocol] = {
    "ridge": by_ridge,
    "knn": by_knn,
    "logistic": by_logistic,
    "sgd": by_sgd,
    "few_shot": by_few_shots,
}
