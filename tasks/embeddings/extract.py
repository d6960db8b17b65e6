"""Extract features: sealed benchmark pictures and an encoder's files in, sealed embedding shards out.

Benchmarks are drawn once per root into `<root>/benchmarks/<lineage>/` and read by every later run.
"""

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image
from prefect import task
from prefect.cache_policies import NO_CACHE

from data_specs import checkpoint as checkpoint_record
from data_specs import embedding, picture
from data_specs.embedding import Embedding
from data_specs.errors import ContractError
from data_specs.ids import digest
from data_specs.run import EmbeddingsSpec
from data_specs.shard import ShardAddress, ShardManifest
from models.embedder.build import build_embedder
from models.embedder.protocol import Embedder
from tasks import storage
from tasks.embeddings.benchmarks import PARTS, Benchmark, benchmark_of, draw_part, lineage
from tasks.embeddings.plan import Look, looks
from tasks.engines import EngineProcess
from tasks.progress import Advanced, tell
from tasks.retrying import RETRIES, RETRY_DELAYS_SECONDS, engine_failed
from tasks.shards import make_shard, read_shard, sealed

BATCH = 1024


def benchmark_shards(root: str, benchmark: Benchmark) -> list[ShardAddress]:
    """Where a benchmark's pictures lie, or will."""
    name = lineage(benchmark)
    folder = f"{root.rstrip('/')}/benchmarks/{name}"
    return [ShardAddress(folder=folder, room="benchmarks", lineage=name, index=part) for part in range(PARTS)]


def needed(root: str, spec: EmbeddingsSpec) -> list[tuple[Benchmark, ShardAddress]]:
    """Every benchmark shard that the spec's embeddings are made from."""
    benchmarks = [benchmark_of(name, seed, spec.copies) for name in spec.benchmarks for seed in spec.seeds]
    return [(benchmark, address) for benchmark in benchmarks for address in benchmark_shards(root, benchmark)]


def draw_shard(benchmark: Benchmark, address: ShardAddress, *, run: str = "") -> ShardManifest:
    return make_shard(address, picture.CONTRACT, lambda: draw_part(benchmark, address.index), run=run)


def embed(sources: Sequence[ShardAddress], embedder: Embedder, look: Look) -> Iterator[Embedding]:
    """Every picture of the sources through the embedder, in order. Raises ContractError for features that are not finite."""
    pictures = [found for source in sources for found in read_shard(source, picture.CONTRACT)]
    for start in range(0, len(pictures), BATCH):
        batch = pictures[start : start + BATCH]
        features = embedder.embed(np.stack([np.asarray(Image.open(io.BytesIO(p.data)).convert("RGB")) for p in batch]))
        if not np.isfinite(features).all():
            raise ContractError(f"encoder {look.encoder} gives features that are not finite on {look.benchmark}")
        for about, feature in zip(batch, features, strict=True):
            yield Embedding(
                id=digest(about.id, look.encoder),
                encoder=look.encoder,
                benchmark=about.benchmark,
                group=about.group,
                label=about.label,
                category=about.category,
                copy=about.copy,
                dimension=len(feature),
                feature=np.ascontiguousarray(feature, "<f4").tobytes(),
            )


def extract_shard(
    encoder_room: ShardAddress, root: str, address: ShardAddress, spec: EmbeddingsSpec, *, seed: int, run: str = ""
) -> ShardManifest:
    """One encoder on one drawing of one benchmark, `looks(spec)[address.index]`; the benchmark must be sealed."""

    def outcomes() -> Iterator[Embedding]:
        look = looks(spec)[address.index]
        files = trained_files(encoder_room) if look.encoder.startswith(("trained", "random")) else {}
        embedder = build_embedder(look.encoder, spec, files, seed)
        sources = benchmark_shards(root, benchmark_of(look.benchmark, look.seed, spec.copies))
        yield from embed(sources, embedder, look)

    return make_shard(address, embedding.CONTRACT, outcomes, run=run)


def trained_files(encoder_room: ShardAddress) -> dict[str, bytes]:
    """The exported files that a sealed encoder names. Raises ContractError if one is gone."""
    [trained] = read_shard(encoder_room, checkpoint_record.CONTRACT)
    files = {}
    for name in trained.files:
        data = storage.read_bytes(f"{encoder_room.folder.rstrip('/')}/{name}")
        if data is None:
            raise ContractError(
                f"{encoder_room.folder}/{name} is missing; remove the encoder's shard to train it again"
            )
        files[name.rsplit("/", 1)[-1]] = data
    return files


@task(
    name="draw the benchmarks",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_SECONDS,
    retry_condition_fn=engine_failed,
    cache_policy=NO_CACHE,
)
def draw_benchmarks(root: str, spec: EmbeddingsSpec, engines: Sequence[EngineProcess], *, run: str) -> int:
    """Draw what is not sealed, spread over engine processes; returns how many shards were made."""
    missing = [(benchmark, address) for benchmark, address in needed(root, spec) if not sealed(address)]
    with ThreadPoolExecutor(len(engines)) as pool:
        futures = [
            pool.submit(engines[number % len(engines)].call, draw_shard, benchmark, address, run=run)
            for number, (benchmark, address) in enumerate(missing)
        ]
        for future in futures:
            future.result()
    return len(missing)


@task(
    name="extract a bundle of embedding shards",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_SECONDS,
    retry_condition_fn=engine_failed,
    cache_policy=NO_CACHE,
)
def extract_bundle(
    encoder_room: ShardAddress,
    root: str,
    addresses: Sequence[ShardAddress],
    spec: EmbeddingsSpec,
    engine: EngineProcess,
    *,
    seed: int,
    run: str,
) -> int:
    """Shards of a bundle one after the other in one engine process; returns how many embeddings were made."""
    total = 0
    for address in addresses:
        if not sealed(address):
            manifest = engine.call(extract_shard, encoder_room, root, address, spec, seed=seed, run=run)
            tell(Advanced("embeddings", 1, looks(spec)[address.index].encoder))
            total += manifest.accepted
    return total
