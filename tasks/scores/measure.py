"""Measure encoders: score each sealed embedding shard by every protocol, and seal a table of scores."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from data_specs import embedding as embedding_record
from data_specs import score as score_record
from data_specs.score import Score
from data_specs.shard import ShardAddress, ShardManifest
from data_specs.specs.scores import ScoresSpec
from data_specs.stage import Stage
from tasks.bundles import Work
from tasks.claimed_shards import missing_first
from tasks.engines import EngineProcess
from tasks.events import Advanced, Emit, ignore
from tasks.scores.jobs import EvaluationJob
from tasks.shards import make_shard, read_rows, read_shard


@dataclass(frozen=True, slots=True)
class ScoreInputs:
    """Embedding shard i, scored as `jobs[i]` says, gives score shard i; `concepts` is the table of what was generated."""

    embeddings: Stage
    jobs: tuple[EvaluationJob, ...]
    concepts: ShardAddress


ScoresWork = Work[ScoresSpec, ScoreInputs]


def measure_bundle(work: ScoresWork, engine: EngineProcess, emit: Emit) -> int:
    """Make the shards one after the other in one engine process; returns how many scores were made.

    In a process of its own, linear algebra takes the threads that the run allows.
    """
    total = 0
    for address in missing_first(work.shards, work.made_by, emit):
        total += engine.call(measure_shard, work, address.index, emit=emit).accepted
        emit(Advanced(work.made_by.run, work.stage.name, 1))
    return total


def measure_shard(work: ScoresWork, index: int, *, emit: Emit = ignore) -> ShardManifest:
    """All scores of one embedding shard."""
    # Imported here: it brings torch, SciPy and scikit-learn, 3 s that the flow of every run would wait for.
    from tasks.scores.score_embeddings import score_embeddings

    inputs, job = work.inputs, work.inputs.jobs[index]

    def outcomes() -> Iterator[Score]:
        names = _concept_names(inputs.concepts)
        bare = {name.removesuffix(end) for name in names for end in job.appended}
        embeddings = list(read_shard(inputs.embeddings.shard(index), embedding_record.CONTRACT))
        yield from score_embeddings(embeddings, job, work.settings, names | bare)

    return make_shard(
        work.stage.shard(index), score_record.CONTRACT, outcomes, made_by=work.made_by, emit=emit, tar=False
    )


@lru_cache(maxsize=1)
def _concept_names(concepts: ShardAddress) -> frozenset[str]:
    """Read once a process: the table of a run is the same for all its shards."""
    return frozenset(read_rows(concepts, ["name"])["name"].to_pylist())
