"""Score one encoder's embeddings of one benchmark: every protocol on every fold of every question. Pure."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np

from data_specs.embedding import JOINT, TEXT, TEXT_OF_CATEGORIES, Embedding
from data_specs.errors import ContractError
from data_specs.ids import digest, seed_of
from data_specs.score import Score
from data_specs.specs.embeddings import Metric
from data_specs.specs.scores import ScoresSpec
from models.probes.labels import Labels
from tasks.scores.folds import Fold, given_splits, held_out_copies, held_out_groups
from tasks.scores.jobs import EvaluationJob
from tasks.scores.metrics import chance, value_with_interval
from tasks.scores.protocols import PROTOCOLS, Problem, ProtocolResult
from tasks.scores.seen import Subset, subsets
from tasks.scores.zero_shot import by_text

FOLDS = {
    "styles": held_out_groups,
    "training_styles": held_out_copies,
    "photographs": held_out_groups,
    "clothes": held_out_groups,
}
"""How the benchmarks that ship are split; others come with splits."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about the images of a benchmark: their concept, or which of six categories that is of.

    `shown` are the names of the classes that each image shows; `prompts` is the group of embeddings that name these classes.
    """

    benchmark: str
    shown: tuple[tuple[str, ...], ...]
    prompts: str


def questions(images: Sequence[Embedding]) -> Iterator[Question]:
    benchmark = images[0].benchmark
    yield Question(benchmark, tuple(image.labels for image in images), TEXT)
    if benchmark == "styles":
        yield Question("styles_categories", tuple((image.category,) for image in images), TEXT_OF_CATEGORIES)


def score_embeddings(
    embeddings: Sequence[Embedding], job: EvaluationJob, spec: ScoresSpec, concepts: Set[str]
) -> Iterator[Score]:
    """Every protocol on every fold of every question about one encoder's embeddings of one benchmark.

    `concepts` are names in the concept table. Raises ContractError for a benchmark that cannot be split or scored so.
    """
    ordered = sorted(embeddings, key=lambda each: each.id)  # so that no score depends on the order of rows
    images = [each for each in ordered if each.group not in (TEXT, TEXT_OF_CATEGORIES)]
    if not images:
        raise ContractError("an embedding shard without images cannot be scored; see the rejects of its benchmark")
    benchmark, encoder = images[0].benchmark, images[0].encoder
    seed = seed_of("scores", benchmark, job.seed)
    split = FOLDS.get(benchmark, given_splits)
    folds = list(split([image.group for image in images], [image.copy for image in images], seed))
    features_ND = np.stack([np.frombuffer(image.feature, "<f4") for image in images])
    for question in questions(images):
        classes = sorted({name for names in question.shown for name in names})
        labels = _labels(question, classes, job.metric)
        parts = subsets(concepts, [image.labels for image in images], classes, labels)
        prompts = [each for each in ordered if each.group == question.prompts]
        for fold in folds:
            _require_trained(question.benchmark, fold, labels, classes)
            problem = Problem(features_ND, labels, len(classes), fold, job.metric, seed)
            for result in _results(problem, encoder, spec, classes, prompts):
                yield from _scores(result, problem, question.benchmark, encoder, job, parts)


def _results(
    problem: Problem, encoder: str, spec: ScoresSpec, classes: Sequence[str], prompts: Sequence[Embedding]
) -> Iterator[ProtocolResult]:
    """Embeddings in one space with prompts are scored by those alone, others by the protocols of the recipe."""
    if encoder == JOINT:
        yield by_text(problem, classes, prompts)
        return
    for name in dict.fromkeys(spec.protocols):
        yield from PROTOCOLS[name](problem, spec)


def _labels(question: Question, classes: Sequence[str], metric: Metric) -> Labels:
    number_of = {name: number for number, name in enumerate(classes)}
    if metric == "map11":
        labels_NC = np.zeros((len(question.shown), len(classes)), np.int64)
        for row, names in enumerate(question.shown):
            labels_NC[row, [number_of[name] for name in names]] = 1
        return labels_NC
    if several := next((names for names in question.shown if len(names) != 1), None):
        raise ContractError(
            f"{question.benchmark}: an image shows {', '.join(several) or 'no class'}; {metric} needs exactly one class, "
            "map11 takes any number"
        )
    return np.array([number_of[name] for [name] in question.shown], dtype=np.int64)


def _require_trained(benchmark: str, fold: Fold, labels: Labels, classes: Sequence[str]) -> None:
    """Raises ContractError for classes that are tested and that no training row shows."""

    def shown(rows: Labels) -> set[int]:
        return set(np.unique(labels[rows])) if labels.ndim == 1 else set(np.flatnonzero(labels[rows].any(0)))

    if unknown := sorted(shown(fold.test) - shown(fold.train)):
        listed = ", ".join(classes[number] for number in unknown[:5])
        raise ContractError(
            f"{benchmark}: {len(unknown)} classes are tested and never trained on ({listed}{', ...' if unknown[5:] else ''}); "
            "give the training split images of them, or take them out of the test split"
        )


def _scores(
    result: ProtocolResult,
    problem: Problem,
    benchmark: str,
    encoder: str,
    job: EvaluationJob,
    parts: Sequence[Subset],
) -> Iterator[Score]:
    fold, name = problem.fold, "trained" if encoder == JOINT else encoder
    for part in parts:
        rows = np.flatnonzero(part.rows[fold.test])
        if not len(rows):
            continue
        labels, repeats = problem.labels[fold.test][rows], [decisions_MC[rows] for decisions_MC in result.repeats]
        if problem.labels.ndim == 2:
            labels, repeats = labels[:, part.classes], [decisions_MC[:, part.classes] for decisions_MC in repeats]
            if not labels.any():
                continue
        value, low, high = value_with_interval(job.metric, repeats, labels, problem.seed)
        yield Score(
            id=digest(name, benchmark, part.name, result.protocol, fold.name, job.seed),
            encoder=name,
            benchmark=benchmark,
            subset=part.name,
            protocol=result.protocol,
            metric=job.metric,
            fold=fold.name,
            seed=job.seed,
            value=value,
            low=low,
            high=high,
            chance=chance(job.metric, labels, problem.classes),
            train_size=len(fold.train),
            test_size=len(rows),
            settings={setting: float(used) for setting, used in result.settings.items()},
        )
