"""A spec enters; which encoder looks at which part of which benchmark leaves, one embedding shard for each. Pure."""

from dataclasses import dataclass
from typing import Literal

from data_specs.run import EmbeddingsSpec

Benchmark = Literal["styles", "training_styles"]


@dataclass(frozen=True, slots=True)
class Look:
    """One embedding shard: `encoder` is `trained`, `random-0`, ... or `hog`; `seed` is the benchmark's drawing."""

    encoder: str
    benchmark: Benchmark
    seed: int


def encoders(spec: EmbeddingsSpec) -> tuple[str, ...]:
    return ("trained", *(f"random-{number}" for number in range(spec.random_inits)), *(("hog",) if spec.hog else ()))


def looks(spec: EmbeddingsSpec) -> tuple[Look, ...]:
    """In the order of embedding shards. Encoder by encoder, so that each is loaded once."""
    return tuple(
        Look(encoder, benchmark, seed)
        for encoder in encoders(spec)
        for benchmark in spec.benchmarks
        for seed in spec.seeds
    )


def embedding_shards(spec: EmbeddingsSpec) -> int:
    return len(looks(spec))
