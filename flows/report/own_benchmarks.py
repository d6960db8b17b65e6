"""Say what became of each data set of the user's own."""

from collections.abc import Mapping

from data_specs.stage import SealedStage
from flows.runs.plan import RunPlan
from tasks.embeddings.benchmark_counts import count_benchmark
from tasks.embeddings.benchmarks import benchmark_of, benchmark_shards
from tasks.shards import sealed


def own_benchmarks(stages: Mapping[str, SealedStage], plan: RunPlan) -> list[str]:
    """One sentence each; none of a benchmark whose images are not in this root any more."""
    stage, spec = stages.get("embeddings"), plan.spec.embeddings
    if stage is None:
        return []
    found = []
    for source in spec.data_sets:
        benchmark = benchmark_of(spec, source.name, spec.seeds[0], stage.facts["data_sets"])
        shards = benchmark_shards(plan.root, benchmark)
        if all(map(sealed, shards)):
            found.append(str(count_benchmark(source.name, shards)))
    return found
