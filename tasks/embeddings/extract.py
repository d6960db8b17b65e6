"""Extract features: embed sealed benchmark images by trained and untrained encoders, and seal the embeddings.

The images of a benchmark are sealed once a root, into `<root>/benchmarks/<lineage>/`, and read by every later run.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
from PIL import Image

from data_specs import benchmark_image as image_record
from data_specs import checkpoint as checkpoint_record
from data_specs import embedding as embedding_record
from data_specs.embedding import TEXT, TEXT_OF_CATEGORIES, Embedding
from data_specs.errors import ContractError, ShardError
from data_specs.ids import digest
from data_specs.shard import ShardAddress, ShardManifest
from data_specs.specs.embeddings import EmbeddingsSpec
from models.embedder.build import build_embedder
from models.embedder.protocol import Embedder, JointEmbedder, PatchEmbedder
from models.probes.labels import Features
from tasks import storage
from tasks.bundles import Work
from tasks.claimed_shards import missing_first
from tasks.embeddings import patch_images
from tasks.embeddings.benchmark_counts import count_benchmark
from tasks.embeddings.benchmarks import benchmark_of, benchmark_shards, seal_part
from tasks.embeddings.jobs import EmbeddingJob
from tasks.embeddings.templates import prompts
from tasks.engines import EngineProcess
from tasks.events import Advanced, Emit, Notice, ignore
from tasks.shards import make_shard, read_shard, sealed

BATCH = 1024


@dataclass(frozen=True, slots=True)
class EmbeddingInputs:
    """`jobs[i]` is what shard i holds; `encoder` is the sealed encoder; `root` is where benchmarks lie.

    `templates` are the sentences about a class; `fingerprints` say what each of `data_sets` held when the run was planned.
    """

    encoder: ShardAddress
    root: str
    jobs: tuple[EmbeddingJob, ...]
    templates: tuple[str, ...]
    fingerprints: Mapping[str, str]


EmbeddingsWork = Work[EmbeddingsSpec, EmbeddingInputs]


def seal_benchmarks(work: EmbeddingsWork, engines: Sequence[EngineProcess], emit: Emit) -> int:
    """Seal the benchmark images that this work embeds and nobody has sealed, spread over engines; returns how many shards."""
    jobs = [work.inputs.jobs[index] for index in work.indices]
    required = dict.fromkeys((job.benchmark, job.seed) for job in jobs)
    benchmarks = [benchmark_of(work.settings, name, seed, work.inputs.fingerprints) for name, seed in required]
    parts = [(each, address) for each in benchmarks for address in benchmark_shards(work.inputs.root, each)]
    missing = [(each, address) for each, address in parts if not sealed(address)]
    with ThreadPoolExecutor(len(engines)) as pool:
        futures = [
            pool.submit(engines[number % len(engines)].call, seal_part, benchmark, address, work.made_by, emit=emit)
            for number, (benchmark, address) in enumerate(missing)
        ]
        for future in futures:
            future.result()
    for benchmark in dict.fromkeys(each for each, _ in missing):
        counts = count_benchmark(benchmark.name, benchmark_shards(work.inputs.root, benchmark))
        if not counts.is_plain:
            emit(Notice(work.made_by.run, work.stage.name, str(counts)))
    return len(missing)


def extract_bundle(work: EmbeddingsWork, engine: EngineProcess, emit: Emit) -> int:
    """Make the shards one after the other in one engine process; returns how many embeddings were made."""
    total = 0
    for address in missing_first(work.shards, work.made_by, emit):
        total += engine.call(extract_shard, work, address.index, emit=emit).accepted
        emit(Advanced(work.made_by.run, work.stage.name, 1, work.inputs.jobs[address.index].encoder))
    return total


def extract_shard(work: EmbeddingsWork, index: int, *, emit: Emit = ignore) -> ShardManifest:
    """Embed one benchmark, whose images must be sealed, by one encoder; the first shard gets patch images beside it."""
    inputs, address = work.inputs, work.stage.shard(index)
    job = inputs.jobs[index]

    def outcomes() -> Iterator[Embedding]:
        files = {} if job.encoder == "hog" else trained_files(inputs.encoder)
        embedder = build_embedder(job.encoder, work.settings, files, work.seed)
        benchmark = benchmark_of(work.settings, job.benchmark, job.seed, inputs.fingerprints)
        shards = benchmark_shards(inputs.root, benchmark)
        yield from embed_benchmark(shards, embedder, job, inputs.templates)
        if index == patch_images.SHARD and isinstance(embedder, PatchEmbedder):
            patch_images.write(address, shards, embedder)

    return make_shard(address, embedding_record.CONTRACT, outcomes, made_by=work.made_by, emit=emit)


def embed_benchmark(
    shards: Sequence[ShardAddress], embedder: Embedder, job: EmbeddingJob, templates: Sequence[str] = ()
) -> Iterator[Embedding]:
    """Embed every image of the shards, in order; then every class's prompts, if the embedder takes text.

    Raises ContractError for features that are not finite.
    """
    images = (image for shard in shards for image in read_shard(shard, image_record.CONTRACT))
    labels, categories = set[str](), set[str]()
    while batch := list(islice(images, BATCH)):
        labels |= {label for image in batch for label in image.labels}
        categories |= {image.category for image in batch if image.category}
        pixels = [np.asarray(Image.open(io.BytesIO(image.data)).convert("RGB")) for image in batch]
        features = _require_finite(embedder.embed(np.stack(pixels)), job)
        for image, feature in zip(batch, features, strict=True):
            yield Embedding(
                id=digest(image.id, job.encoder),
                encoder=job.encoder,
                benchmark=image.benchmark,
                group=image.group,
                labels=image.labels,
                category=image.category,
                copy=image.copy,
                dimension=len(feature),
                feature=np.ascontiguousarray(feature, "<f4").tobytes(),
            )
    if isinstance(embedder, JointEmbedder):
        yield from _embed_prompts(embedder, job, TEXT, labels, templates)
        yield from _embed_prompts(embedder, job, TEXT_OF_CATEGORIES, categories, templates)


def _embed_prompts(
    embedder: JointEmbedder, job: EmbeddingJob, group: str, names: set[str], templates: Sequence[str]
) -> Iterator[Embedding]:
    texts = [(name, number, text) for name in sorted(names) for number, text in enumerate(prompts(name, templates))]
    if not texts:
        return
    features = _require_finite(embedder.embed_texts([text for _, _, text in texts]), job)
    for (name, number, text), feature in zip(texts, features, strict=True):
        yield Embedding(
            id=digest(group, name, number, text, job.encoder),
            encoder=job.encoder,
            benchmark=job.benchmark,
            group=group,
            labels=(name,),
            category="",
            copy=number,
            dimension=len(feature),
            feature=np.ascontiguousarray(feature, "<f4").tobytes(),
        )


def _require_finite(features: Features, job: EmbeddingJob) -> Features:
    if not np.isfinite(features).all():
        raise ContractError(f"encoder {job.encoder} gives features that are not finite on {job.benchmark}")
    return features


def trained_files(encoder: ShardAddress) -> dict[str, bytes]:
    """The exported files of a sealed encoder, by name. Raises ContractError if one is gone."""
    [record] = read_shard(encoder, checkpoint_record.CONTRACT)
    files = {}
    for name in record.files:
        data = storage.read_bytes(f"{encoder.folder.rstrip('/')}/{name}")
        if data is None:
            raise ShardError(f"{name} of {encoder.stem} is missing, in {encoder.folder}", encoder.stem)
        files[name.rsplit("/", 1)[-1]] = data
    return files
