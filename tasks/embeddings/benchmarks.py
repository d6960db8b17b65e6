"""Benchmarks: where their images come from, what their lineage is, and their shards, sealed once a root."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import assert_never, cast, get_args

from data_specs import benchmark_image as image_record
from data_specs.benchmark_image import BenchmarkImage
from data_specs.errors import SpecError
from data_specs.ids import digest
from data_specs.rejection import Rejection
from data_specs.shard import UNNAMED, MadeBy, ShardAddress, ShardManifest
from data_specs.specs.embeddings import EmbeddingsSpec, OwnBenchmark, PhotographBenchmark, TinyWorldBenchmark
from tasks.embeddings import photographs, styles
from tasks.embeddings.data_sets import fingerprint, prepared_images, require_most
from tasks.embeddings.photographs import PhotographSet, photographs_of
from tasks.embeddings.styles import BenchmarkDrawing, draw_part, drawing_of
from tasks.events import Emit, ignore
from tasks.shards import make_shard, read_shard

VERSION = 3
"""Incremented when the same images would be sealed as other records."""
PARTS = 4
"""Shards of a benchmark, so that several processes can make it."""


@dataclass(frozen=True, slots=True)
class OwnImages:
    """A data set of the recipe, and the fingerprint of what it held when the run was planned."""

    source: OwnBenchmark
    fingerprint: str

    @property
    def name(self) -> str:
        return self.source.name


Benchmark = BenchmarkDrawing | PhotographSet | OwnImages


def benchmark_of(spec: EmbeddingsSpec, name: str, seed: int, fingerprints: Mapping[str, str]) -> Benchmark:
    """`fingerprints` are those of `spec.data_sets` by name, as the run was planned; no data set is read here."""
    for source in spec.data_sets:
        if source.name == name:
            return OwnImages(source, fingerprints[name])
    if name in get_args(PhotographBenchmark):
        return PhotographSet(cast(PhotographBenchmark, name), seed)
    return drawing_of(cast(TinyWorldBenchmark, name), seed, spec.copies)


def benchmark_lineage(benchmark: Benchmark) -> str:
    match benchmark:
        case BenchmarkDrawing(name, seed, copies):
            return digest("benchmark", VERSION, styles.VERSION, name, seed, copies, styles.SIZE)
        case PhotographSet(name, seed):
            return digest("benchmark", VERSION, photographs.VERSION, name, seed)
        case OwnImages(source, found):
            settings = source.model_dump_json(exclude={"metric"} if source.resize else {"metric", "resize"})
            return digest("benchmark", VERSION, settings, found)
        case other:
            assert_never(other)


def benchmark_shards(root: str, benchmark: Benchmark) -> list[ShardAddress]:
    """Where the benchmark's images lie, or will lie."""
    lineage = benchmark_lineage(benchmark)
    folder = f"{root.rstrip('/')}/benchmarks/{lineage}"
    return [ShardAddress(folder=folder, stage="benchmarks", lineage=lineage, index=part) for part in range(PARTS)]


def seal_part(
    benchmark: Benchmark, address: ShardAddress, made_by: MadeBy = UNNAMED, *, emit: Emit = ignore
) -> ShardManifest:
    """Draw or read the images of one part and seal them.

    Raises SpecError if most of them are rejected, or if the data set is no longer what it was when the run was planned.
    """
    return make_shard(
        address,
        image_record.CONTRACT,
        lambda: _images(benchmark, address.index),
        made_by=made_by,
        emit=emit,
        check=partial(require_most, benchmark.name, "images of a part"),
    )


def _images(benchmark: Benchmark, part: int) -> Iterator[BenchmarkImage | Rejection]:
    match benchmark:
        case BenchmarkDrawing():
            yield from draw_part(benchmark, part, PARTS)
        case PhotographSet():
            yield from photographs_of(benchmark, part, PARTS)
        case OwnImages(source, _):
            _require_unedited(benchmark)  # before hours of reading
            yield from prepared_images(source, part, PARTS)
            _require_unedited(benchmark)  # and before what was read is sealed under the planned lineage
        case other:
            assert_never(other)


def _require_unedited(benchmark: OwnImages) -> None:
    if fingerprint(benchmark.source) != benchmark.fingerprint:
        raise SpecError(
            f"embeddings.data_sets: {benchmark.name} was edited after the run was planned; run again, and its benchmark is "
            "made from what it holds now"
        )


def images_by_id(shards: Sequence[ShardAddress], ids: Set[str]) -> dict[str, BenchmarkImage]:
    """Some images of a sealed benchmark; shards are read only until all of them are found."""
    found: dict[str, BenchmarkImage] = {}
    for image in (image for shard in shards for image in read_shard(shard, image_record.CONTRACT)):
        if image.id in ids:
            found[image.id] = image
            if len(found) == len(ids):
                break
    return found
