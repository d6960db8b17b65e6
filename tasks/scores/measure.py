"""Measure encoders: a sealed embedding shard in, a sealed table of scores out."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from data_specs import embedding, score
from data_specs.embedding import JOINT, TEXT, TEXT_OF_CATEGORIES, Embedding
from data_specs.errors import ContractError
from data_specs.ids import digest, seed_of
from data_specs.run import Metric, ScoresSpec
from data_specs.score import Score
from data_specs.shard import ShardAddress, ShardManifest
from models.probes.labels import Answers, Features
from tasks.bundles import RETRIES, RETRY_DELAYS_SECONDS, engine_failed
from tasks.engines import EngineProcess
from tasks.events import Advanced, tell
from tasks.scores.folds import Fold, given_splits, held_out_copies, held_out_groups
from tasks.scores.metrics import chance, judged
from tasks.scores.protocols import PROTOCOLS, Judged, Problem
from tasks.scores.seen import Subset, subsets
from tasks.scores.zero_shot import by_text
from tasks.shards import make_shard, read_rows, read_shard, sealed

FOLDS = {"styles": held_out_groups, "training_styles": held_out_copies}
"""How the benchmarks of the Tiny World are cut; others say it themselves."""


@dataclass(frozen=True, slots=True)
class Exam:
    """How one embedding shard is to be judged.

    `seed` is the drawing of the benchmark that it looked at; `appended` is what the recipe put after concepts' names
    (`Audi A4 2008 car`), which no benchmark does.
    """

    seed: int
    metric: Metric
    appended: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the pictures of a benchmark: which concept, or which of the six categories."""

    benchmark: str
    labels: tuple[tuple[str, ...], ...]
    prompts: str


def questions(pictures: Sequence[Embedding]) -> Iterator[Question]:
    benchmark = pictures[0].benchmark
    yield Question(benchmark, tuple(one.labels for one in pictures), TEXT)
    if benchmark == "styles":
        yield Question("styles_categories", tuple((one.category,) for one in pictures), TEXT_OF_CATEGORIES)


def measure(found: Sequence[Embedding], exam: Exam, spec: ScoresSpec, concepts: Set[str]) -> Iterator[Score]:
    """Every protocol on every fold of every question about one encoder's embeddings of one benchmark.

    `concepts` are the names of the concept table. Raises ContractError for a benchmark that cannot be cut or asked so.
    """
    ordered = sorted(found, key=lambda one: one.id)  # so that no score depends on the order of rows
    pictures = [one for one in ordered if one.group not in (TEXT, TEXT_OF_CATEGORIES)]
    if not pictures:
        raise ContractError("an embedding shard without pictures cannot be scored; see the rejects of its benchmark")
    benchmark, encoder = pictures[0].benchmark, pictures[0].encoder
    seed = seed_of("scores", benchmark, exam.seed)
    cut = FOLDS.get(benchmark, given_splits)
    folds = list(cut([one.group for one in pictures], [one.copy for one in pictures], seed))
    features = features_of(pictures)
    for question in questions(pictures):
        names = sorted({label for labels in question.labels for label in labels})
        answers = _answers(question, names, exam.metric)
        parts = subsets(concepts, [one.labels for one in pictures], names, answers)
        for fold in folds:
            _require_taught(question.benchmark, fold, answers, names)
            problem = Problem(features, answers, len(names), fold, exam.metric, seed)
            if encoder == JOINT:
                prompts = [one for one in ordered if one.group == question.prompts]
                outcomes: Iterator[Judged] = iter([by_text(problem, names, prompts)])
            else:
                outcomes = (one for name in dict.fromkeys(spec.protocols) for one in PROTOCOLS[name](problem, spec))
            for outcome in outcomes:
                yield from _scores(outcome, problem, question.benchmark, encoder, exam, parts)


def features_of(found: Sequence[Embedding]) -> Features:
    return np.stack([np.frombuffer(one.feature, "<f4") for one in found])


def _answers(question: Question, names: Sequence[str], metric: Metric) -> Answers:
    place = {name: number for number, name in enumerate(names)}
    if metric == "map11":
        answers = np.zeros((len(question.labels), len(names)), np.int64)
        for row, labels in enumerate(question.labels):
            answers[row, [place[label] for label in labels]] = 1
        return answers
    if several := next((labels for labels in question.labels if len(labels) != 1), None):
        raise ContractError(
            f"{question.benchmark}: a picture shows {', '.join(several) or 'no class'}; {metric} needs exactly one class, "
            "map11 takes any number"
        )
    return np.array([place[label] for [label] in question.labels], dtype=np.int64)


def _require_taught(benchmark: str, fold: Fold, answers: Answers, names: Sequence[str]) -> None:
    def shown(rows: Answers) -> set[int]:
        return set(np.unique(answers[rows])) if answers.ndim == 1 else set(np.flatnonzero(answers[rows].any(0)))

    if strange := sorted(shown(fold.test) - shown(fold.train)):
        listed = ", ".join(names[place] for place in strange[:5])
        raise ContractError(
            f"{benchmark}: {len(strange)} classes are tested and never taught ({listed}{', ...' if strange[5:] else ''}); "
            "give the training split pictures of them, or take them out of the test"
        )


def _scores(
    outcome: Judged, problem: Problem, benchmark: str, encoder: str, exam: Exam, parts: Sequence[Subset]
) -> Iterator[Score]:
    fold, shown = problem.fold, "trained" if encoder == JOINT else encoder
    for part in parts:
        within = np.flatnonzero(part.rows[fold.test])
        if not len(within):
            continue
        answers, tries = problem.answers[fold.test][within], [tried[within] for tried in outcome.tries]
        if problem.answers.ndim == 2:
            answers, tries = answers[:, part.classes], [tried[:, part.classes] for tried in tries]
            if not answers.any():
                continue
        value, low, high = judged(exam.metric, tries, answers, problem.seed)
        yield Score(
            id=digest(shown, benchmark, part.name, outcome.protocol, fold.name, exam.seed),
            encoder=shown,
            benchmark=benchmark,
            subset=part.name,
            protocol=outcome.protocol,
            metric=exam.metric,
            fold=fold.name,
            seed=exam.seed,
            value=value,
            low=low,
            high=high,
            chance=chance(exam.metric, answers, problem.classes),
            train_size=len(fold.train),
            test_size=len(within),
            settings={name: float(setting) for name, setting in outcome.settings.items()},
        )


def measure_shard(
    source: ShardAddress, exam: Exam, concepts: ShardAddress, address: ShardAddress, spec: ScoresSpec, *, run: str = ""
) -> ShardManifest:
    """All scores of one embedding shard; `concepts` is the table of what was generated."""

    def outcomes() -> Iterator[Score]:
        names = read_rows(concepts)["name"].to_pylist()
        bare = {name.removesuffix(end) for name in names for end in exam.appended}
        yield from measure(list(read_shard(source, embedding.CONTRACT)), exam, spec, bare.union(names))

    return make_shard(address, score.CONTRACT, outcomes, run=run, tar=False)


@task(
    name="measure a bundle of score shards",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_SECONDS,
    retry_condition_fn=engine_failed,
    cache_policy=NO_CACHE,
)
def measure_bundle(
    sources: Sequence[ShardAddress],
    exams: Sequence[Exam],
    concepts: ShardAddress,
    addresses: Sequence[ShardAddress],
    spec: ScoresSpec,
    engine: EngineProcess,
    *,
    run: str,
) -> int:
    """Shards of a bundle one after the other, in a process whose linear algebra takes the threads that the run allows.

    `sources[i]`, judged as `exams[i]` says, gives the room's shard i. Returns how many scores were made.
    """
    total = 0
    for address in addresses:
        if not sealed(address):
            source, exam = sources[address.index], exams[address.index]
            total += engine.call(measure_shard, source, exam, concepts, address, spec, run=run).accepted
            tell(Advanced("scores", 1))
    return total
