"""The name of a benchmark enters; where its pictures come from, and the pictures themselves, part by part, leave."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never, cast

from data_specs.benchmark_image import Picture
from data_specs.ids import digest
from data_specs.rejection import Rejection
from data_specs.run import EmbeddingsSpec, OwnBenchmark, TinyWorldBenchmark
from tasks.embeddings import styles
from tasks.embeddings.data_sets import admitted, fingerprint
from tasks.embeddings.styles import Drawing, draw_part, drawing_of

VERSION = 2
"""Raised when the same pictures would be sealed as other records."""
PARTS = 4
"""Shards a benchmark is sealed in, so that processes can share the work."""


@dataclass(frozen=True, slots=True)
class OwnPictures:
    """A data set of the recipe, and what it held when the recipe was resolved."""

    source: OwnBenchmark
    fingerprint: str


Benchmark = Drawing | OwnPictures


def benchmark_of(spec: EmbeddingsSpec, name: str, seed: int) -> Benchmark:
    """Raises SpecError for a data set that is not there, or not as it should be."""
    for source in spec.data_sets:
        if source.name == name:
            return OwnPictures(source, fingerprint(source))
    return drawing_of(cast(TinyWorldBenchmark, name), seed, spec.copies)


def lineage(benchmark: Benchmark) -> str:
    match benchmark:
        case Drawing(name, seed, copies):
            return digest("benchmark", VERSION, styles.VERSION, name, seed, copies, styles.SIZE)
        case OwnPictures(source, found):
            asked = source.model_dump_json(exclude={"metric"} if source.resize else {"metric", "resize"})
            return digest("benchmark", VERSION, asked, found)
        case other:
            assert_never(other)


def pictures(benchmark: Benchmark, part: int) -> Iterator[Picture | Rejection]:
    """The pictures of part 0, 1, ... of `PARTS`."""
    match benchmark:
        case Drawing():
            yield from draw_part(benchmark, part, PARTS)
        case OwnPictures(source, _):
            yield from admitted(source, part, PARTS)
        case other:
            assert_never(other)
