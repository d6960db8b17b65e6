"""Measure encoders: sealed embedding shards in, one sealed table of scores out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from data_specs import embedding, score
from data_specs.embedding import Embedding
from data_specs.errors import ContractError
from data_specs.ids import digest
from data_specs.run import ScoresSpec
from data_specs.score import Score
from data_specs.shard import ShardAddress, ShardManifest
from tasks.engines import EngineProcess
from tasks.progress import Advanced, tell
from tasks.retrying import RETRIES, RETRY_DELAYS_SECONDS, engine_failed
from tasks.scores.folds import held_out_copies, held_out_groups
from tasks.scores.protocols import PROTOCOLS
from tasks.shards import make_shard, read_shard

FOLDS = {"styles": held_out_groups, "training_styles": held_out_copies}
"""How each benchmark is cut."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the pictures of a benchmark: which concept, or which of the six categories."""

    benchmark: str
    labels: tuple[str, ...]


def questions(found: Sequence[Embedding]) -> Iterator[Question]:
    benchmark = found[0].benchmark
    yield Question(benchmark, tuple(one.label for one in found))
    if benchmark == "styles":
        yield Question("styles_categories", tuple(one.category for one in found))


def measure(found: Sequence[Embedding], seed: int, spec: ScoresSpec) -> Iterator[Score]:
    """Every protocol on every fold of every question about one encoder's embeddings of one benchmark.

    Raises ContractError for a benchmark that nobody said how to cut.
    """
    if not found or found[0].benchmark not in FOLDS:
        raise ContractError(f"no way to score {found[0].benchmark if found else 'an empty shard'!r}; add it to FOLDS")
    features = np.stack([np.frombuffer(one.feature, "<f4") for one in found])
    cut = FOLDS[found[0].benchmark]
    folds = list(cut([one.group for one in found], [one.copy for one in found]))
    for question in questions(found):
        names = sorted(set(question.labels))
        labels = np.array([names.index(label) for label in question.labels], dtype=np.int64)
        for fold in folds:
            for protocol, judge in PROTOCOLS.items():
                outcome = judge(features, labels, len(names), fold, spec)
                yield Score(
                    id=digest(found[0].encoder, question.benchmark, protocol, fold.name, seed),
                    encoder=found[0].encoder,
                    benchmark=question.benchmark,
                    protocol=protocol,
                    metric="top1",
                    fold=fold.name,
                    seed=seed,
                    value=outcome.value,
                    chance=1.0 / len(names),
                    train_size=len(fold.train),
                    test_size=len(fold.test),
                    settings=outcome.settings,
                )


def measure_table(
    sources: Sequence[ShardAddress], seeds: Sequence[int], address: ShardAddress, spec: ScoresSpec, *, run: str = ""
) -> ShardManifest:
    """All scores of a run in one table. `seeds[i]` is the drawing of the benchmark that `sources[i]` looked at."""

    def outcomes() -> Iterator[Score]:
        for source, seed in zip(sources, seeds, strict=True):
            yield from measure(list(read_shard(source, embedding.CONTRACT)), seed, spec)

    return make_shard(address, score.CONTRACT, outcomes, run=run, tar=False)


@task(
    name="measure the scores",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_SECONDS,
    retry_condition_fn=engine_failed,
    cache_policy=NO_CACHE,
)
def measure_in(
    engine: EngineProcess,
    sources: Sequence[ShardAddress],
    seeds: Sequence[int],
    address: ShardAddress,
    spec: ScoresSpec,
    *,
    run: str,
) -> ShardManifest:
    """In a process of its own, so that its linear algebra takes the threads that the run allows."""
    manifest = engine.call(measure_table, sources, seeds, address, spec, run=run)
    tell(Advanced("scores", 1))
    return manifest
