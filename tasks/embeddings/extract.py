"""Extract features: sealed benchmark pictures and an encoder's files in, sealed embedding shards out.

Benchmarks are drawn, or read from where they lie, once per root into `<root>/benchmarks/<lineage>/` and read by every later run.
"""

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
from PIL import Image
from prefect import task
from prefect.cache_policies import NO_CACHE

from data_specs import benchmark_image as picture
from data_specs import checkpoint as checkpoint_record
from data_specs import embedding
from data_specs.benchmark_image import Picture
from data_specs.embedding import TEXT, TEXT_OF_CATEGORIES, Embedding
from data_specs.errors import ContractError, SpecError
from data_specs.ids import digest
from data_specs.rejection import Rejection
from data_specs.run import EmbeddingsSpec
from data_specs.shard import ShardAddress, ShardManifest
from models.embedder.build import build_embedder
from models.embedder.protocol import Embedder, JointEmbedder
from models.probes.labels import Features
from tasks import storage
from tasks.bundles import RETRIES, RETRY_DELAYS_SECONDS, engine_failed
from tasks.embeddings.benchmarks import PARTS, Benchmark, benchmark_of, lineage, pictures
from tasks.embeddings.jobs import Look, drawings
from tasks.embeddings.styles import Drawing
from tasks.embeddings.templates import load_templates, prompts
from tasks.engines import EngineProcess
from tasks.events import Advanced, tell
from tasks.shards import make_shard, read_shard, sealed

BATCH = 1024
MOST_REFUSED = 0.5
"""A part of a benchmark that loses more of its pictures stops the run: what is left is another benchmark."""


def benchmark_shards(root: str, benchmark: Benchmark) -> list[ShardAddress]:
    """Where a benchmark's pictures lie, or will."""
    name = lineage(benchmark)
    folder = f"{root.rstrip('/')}/benchmarks/{name}"
    return [ShardAddress(folder=folder, room="benchmarks", lineage=name, index=part) for part in range(PARTS)]


def needed(root: str, spec: EmbeddingsSpec) -> list[tuple[Benchmark, ShardAddress]]:
    """Every benchmark shard that the spec's embeddings are made from."""
    benchmarks = [benchmark_of(spec, name, seed) for name, seed in drawings(spec)]
    return [(benchmark, address) for benchmark in benchmarks for address in benchmark_shards(root, benchmark)]


def draw_shard(benchmark: Benchmark, address: ShardAddress, *, run: str = "") -> ShardManifest:
    """One part of a benchmark. Raises SpecError if most of its pictures are refused."""

    def check(accepted: int, rejected: Counter[str]) -> None:
        asked = accepted + rejected.total()
        if rejected.total() > MOST_REFUSED * asked:
            listed = ", ".join(f"{reason} {count}" for reason, count in rejected.most_common())
            name = benchmark.name if isinstance(benchmark, Drawing) else benchmark.source.name
            raise SpecError(
                f"embeddings: {name}: {rejected.total()} of {asked} pictures of a part were refused ({listed}); repair the "
                "data set, or take it out of embeddings.data_sets"
            )

    def outcomes() -> Iterator[Picture | Rejection]:
        return pictures(benchmark, address.index)

    return make_shard(address, picture.CONTRACT, outcomes, run=run, check=check)


def embed(
    sources: Sequence[ShardAddress], embedder: Embedder, look: Look, templates: Sequence[str] = ()
) -> Iterator[Embedding]:
    """Every picture of the sources through the embedder, in order; then every class's sentences, if it reads any.

    Raises ContractError for features that are not finite.
    """
    found = (one for source in sources for one in read_shard(source, picture.CONTRACT))
    labels, categories = set[str](), set[str]()
    while batch := list(islice(found, BATCH)):
        labels |= {label for about in batch for label in about.labels}
        categories |= {about.category for about in batch if about.category}
        features = embedder.embed(np.stack([np.asarray(Image.open(io.BytesIO(p.data)).convert("RGB")) for p in batch]))
        for about, feature in zip(batch, _finite(features, look), strict=True):
            yield Embedding(
                id=digest(about.id, look.encoder),
                encoder=look.encoder,
                benchmark=about.benchmark,
                group=about.group,
                labels=about.labels,
                category=about.category,
                copy=about.copy,
                dimension=len(feature),
                feature=np.ascontiguousarray(feature, "<f4").tobytes(),
            )
    if isinstance(embedder, JointEmbedder):
        yield from _embed_prompts(embedder, look, TEXT, labels, templates)
        yield from _embed_prompts(embedder, look, TEXT_OF_CATEGORIES, categories, templates)


def _embed_prompts(
    embedder: JointEmbedder, look: Look, group: str, names: set[str], templates: Sequence[str]
) -> Iterator[Embedding]:
    asked = [(name, place, text) for name in sorted(names) for place, text in enumerate(prompts(name, templates))]
    if not asked:
        return
    features = _finite(embedder.embed_texts([text for _, _, text in asked]), look)
    for (name, place, text), feature in zip(asked, features, strict=True):
        yield Embedding(
            id=digest(group, name, place, text, look.encoder),
            encoder=look.encoder,
            benchmark=look.benchmark,
            group=group,
            labels=(name,),
            category="",
            copy=place,
            dimension=len(feature),
            feature=np.ascontiguousarray(feature, "<f4").tobytes(),
        )


def _finite(features: Features, look: Look) -> Features:
    if not np.isfinite(features).all():
        raise ContractError(f"encoder {look.encoder} gives features that are not finite on {look.benchmark}")
    return features


def extract_shard(
    encoder_room: ShardAddress,
    root: str,
    address: ShardAddress,
    look: Look,
    spec: EmbeddingsSpec,
    *,
    seed: int,
    run: str = "",
) -> ShardManifest:
    """One encoder on one drawing of one benchmark, which must be sealed."""

    def outcomes() -> Iterator[Embedding]:
        files = {} if look.encoder == "hog" else trained_files(encoder_room)
        embedder = build_embedder(look.encoder, spec, files, seed)
        sources = benchmark_shards(root, benchmark_of(spec, look.benchmark, look.seed))
        yield from embed(sources, embedder, look, load_templates(spec.templates))

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
    plan: Sequence[Look],
    spec: EmbeddingsSpec,
    engine: EngineProcess,
    *,
    seed: int,
    run: str,
) -> int:
    """Shards of a bundle one after the other in one engine process; returns how many embeddings were made.

    `plan[i]` is what the room's shard i holds.
    """
    total = 0
    for address in addresses:
        if not sealed(address):
            look = plan[address.index]
            manifest = engine.call(extract_shard, encoder_room, root, address, look, spec, seed=seed, run=run)
            tell(Advanced("embeddings", 1, look.encoder))
            total += manifest.accepted
    return total
