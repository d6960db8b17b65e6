"""How each embedding shard is scored, and what the scores then hold. Pure, and light: a plan reads it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_specs.ids import digest
from data_specs.specs.embeddings import Metric


@dataclass(frozen=True, slots=True)
class EvaluationJob:
    """How one embedding shard is scored.

    `seed` is that of the benchmark's drawing; `appended` is what the recipe appends to concepts' names (`Audi A4 2008 car`),
    which no benchmark does.
    """

    seed: int
    metric: Metric
    appended: tuple[str, ...] = ()


def score_contents(
    version: int, settings: Mapping[str, Any], embeddings: Sequence[str], jobs: Sequence[EvaluationJob], concepts: str
) -> list[str]:
    """Identify what each score shard will hold, whatever else its stage scores: equal digests, equal bytes.

    `embeddings` identify the shards that are scored so, `concepts` is the lineage of the table of what was generated.
    """
    spec = json.dumps(settings, sort_keys=True)
    return [
        digest("scores", version, spec, shard, job.seed, job.metric, concepts, *job.appended)
        for shard, job in zip(embeddings, jobs, strict=True)
    ]
