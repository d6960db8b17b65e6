"""A recipe enters; which encoder looks at which benchmark leaves, one embedding shard for each. Pure."""

from dataclasses import dataclass

from data_specs.embedding import JOINT
from data_specs.run import EmbeddingsSpec, Metric, RunSpec


@dataclass(frozen=True, slots=True)
class Look:
    """One embedding shard: `encoder` is `trained`, `random-0`, ..., `hog` or `joint`; `seed` is the benchmark's drawing."""

    encoder: str
    benchmark: str
    seed: int


def looks(spec: RunSpec) -> tuple[Look, ...]:
    """In the order of embedding shards. Encoder by encoder, so that each is loaded once.

    `joint` looks only where the encoder has a text tower, and so a space in which pictures and prompts are compared.
    """
    asked = spec.embeddings
    randoms = (f"random-{number}" for number in range(asked.random_inits))
    joint = (JOINT,) if spec.encoder.text_weight > 0 else ()
    encoders = ("trained", *randoms, *(("hog",) if asked.hog else ()), *joint)
    return tuple(Look(encoder, name, seed) for encoder in encoders for name, seed in drawings(asked))


def drawings(spec: EmbeddingsSpec) -> list[tuple[str, int]]:
    """Benchmarks with their seeds. Data sets are there once, whatever the seeds: nobody draws them."""
    drawn = [(name, seed) for name in spec.benchmarks for seed in spec.seeds]
    return drawn + [(one.name, spec.seeds[0]) for one in spec.data_sets]


def metric_of(spec: EmbeddingsSpec, benchmark: str) -> Metric:
    return next((one.metric for one in spec.data_sets if one.name == benchmark), "top1")
