"""List which encoder embeds which benchmark: one job for each embedding shard. Pure."""

from dataclasses import dataclass

from data_specs.embedding import JOINT
from data_specs.specs.embeddings import EmbeddingsSpec, Metric
from data_specs.specs.run import RunSpec

HOG = "hog"


@dataclass(frozen=True, slots=True)
class EmbeddingJob:
    """One embedding shard: `encoder` is `trained`, `random-0`, ..., `hog` or `joint`; the benchmark is drawn by `seed`."""

    encoder: str
    benchmark: str
    seed: int


def embedding_jobs(spec: RunSpec) -> tuple[EmbeddingJob, ...]:
    """The job of each embedding shard, in the order of shards: encoder by encoder, the trained one first.

    `joint` is there only if the encoder has a text tower, and so a space in which images and prompts are compared.
    """
    settings = spec.embeddings
    randoms = (f"random-{number}" for number in range(settings.random_inits))
    joint = (JOINT,) if spec.encoder.text_weight > 0 else ()
    encoders = ("trained", *randoms, *((HOG,) if settings.hog else ()), *joint)
    return tuple(EmbeddingJob(encoder, name, seed) for encoder in encoders for name, seed in _benchmarks(settings))


def _benchmarks(spec: EmbeddingsSpec) -> list[tuple[str, int]]:
    """Benchmarks with their seeds. Own data sets are listed once, whatever the seeds: nothing of them is drawn."""
    drawn = [(name, seed) for name in spec.benchmarks for seed in spec.seeds]
    return drawn + [(source.name, spec.seeds[0]) for source in spec.data_sets]


def metric_of(spec: EmbeddingsSpec, benchmark: str) -> Metric:
    """Top-1, except of data sets that say otherwise, and of photographs, of whose classes the largest is thrice the smallest."""
    shipped: Metric = "mean_per_class" if benchmark == "photographs" else "top1"
    return next((source.metric for source in spec.data_sets if source.name == benchmark), shipped)
