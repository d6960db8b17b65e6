"""Show a few benchmark images as the trained encoder sees them, from what the embeddings stage has sealed.

Beside each are its patch features in colours, and its nearest images in the benchmark by this encoder and by a baseline.
"""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image

from data_specs import embedding
from data_specs.errors import ContractError
from data_specs.ids import digest
from data_specs.shard import ShardAddress
from data_specs.stage import SealedStage
from flows.runs.plan import RunPlan
from models.probes.labels import Features
from tasks.embeddings import patch_images
from tasks.embeddings.benchmarks import benchmark_of, benchmark_shards, images_by_id
from tasks.embeddings.jobs import EmbeddingJob, embedding_jobs
from tasks.embeddings.visualise import nearest
from tasks.scores.summary import NAMES
from tasks.shards import read_shard, sealed

NEIGHBOURS = 5
SIDE, QUALITY = 64, 70


@dataclass(frozen=True, slots=True)
class ViewedImage:
    """One image of the benchmark; `alike` says whether it shows a class that the query shows."""

    uri: str
    label: str
    group: str
    alike: bool


@dataclass(frozen=True, slots=True)
class EncoderView:
    """A query image, `patches` in the colours of its patch features, and its neighbours, a row for each encoder compared."""

    asked: ViewedImage
    patches: str
    rows: tuple[tuple[ViewedImage, ...], ...]


@dataclass(frozen=True, slots=True)
class EncoderViews:
    """`alike` counts, encoder by encoder, the neighbours that show the query's class, of `of` each.

    Neighbours are searched among `images` images.
    """

    benchmark: str
    images: int
    encoders: tuple[str, ...]
    alike: tuple[int, ...]
    of: int
    encoder_views: tuple[EncoderView, ...]


def encoder_views(stages: Mapping[str, SealedStage], plan: RunPlan) -> EncoderViews | None:
    """None where nothing was embedded. Raises ContractError where the benchmark or the patch images are gone."""
    stage = stages.get("embeddings")
    if stage is None:
        return None
    jobs = embedding_jobs(plan.spec)
    first = jobs[patch_images.SHARD]
    fingerprints = stage.facts["data_sets"]
    benchmark = benchmark_of(plan.spec.embeddings, first.benchmark, first.seed, fingerprints)
    shards = benchmark_shards(plan.root, benchmark)
    if not all(map(sealed, shards)):
        raise ContractError(f"the images of benchmark {first.benchmark!r} are not in this root")
    painted, rows = patch_images.read(stage.shard(patch_images.SHARD)), patch_images.first_rows(shards)
    number_of = {row["id"]: number for number, row in enumerate(rows)}
    queries = [number_of[each] for each in painted]
    compared = [first, *(job for job in _baselines(jobs) if job.benchmark == first.benchmark)][:2]
    groups = [row["group"] for row in rows]
    found = []
    for job in compared:
        features_ND = _features(stage.shard(jobs.index(job)), rows, job.encoder)
        found.append(nearest(features_ND, groups, queries, NEIGHBOURS))
    numbers = {*queries, *(number for neighbours in found for row in neighbours for number in row)}
    images = images_by_id(shards, {rows[number]["id"] for number in numbers})

    def viewed(number: int, query: int) -> ViewedImage:
        image = images[rows[number]["id"]]
        alike = bool({*image.labels} & {*rows[query]["labels"]})
        return ViewedImage(_small(image.data), ", ".join(image.labels), image.group, alike)

    views = tuple(
        EncoderView(
            viewed(query, query),
            _uri(png, "png"),
            tuple(tuple(viewed(number, query) for number in neighbours[place]) for neighbours in found),
        )
        for place, (query, png) in enumerate(zip(queries, painted.values(), strict=True))
    )
    return EncoderViews(
        first.benchmark,
        len(rows),
        tuple(NAMES.get(job.encoder.partition("-")[0], job.encoder) for job in compared),
        tuple(sum(image.alike for view in views for image in view.rows[place]) for place in range(len(compared))),
        sum(len(view.rows[0]) for view in views),
        views,
    )


def _baselines(jobs: Sequence[EmbeddingJob]) -> Iterator[EmbeddingJob]:
    """HOG before fresh weights."""
    for kind in ("hog", "random-0"):
        yield from (job for job in jobs if job.encoder == kind)


def _features(shard: ShardAddress, rows: Sequence[dict[str, Any]], encoder: str) -> Features:
    """[N, D] in the order of the rows. Raises ContractError if one has none."""
    found = {
        one.id: np.frombuffer(one.feature, "<f4") for one in islice(read_shard(shard, embedding.CONTRACT), len(rows))
    }
    try:
        return np.stack([found[digest(row["id"], encoder)] for row in rows])
    except KeyError as error:
        raise ContractError(f"{shard.stem} of {shard.folder} lacks images of its benchmark") from error


def _small(data: bytes) -> str:
    small = Image.open(io.BytesIO(data)).convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    small.save(stream, "WEBP", quality=QUALITY, method=4)
    return _uri(stream.getvalue(), "webp")


def _uri(data: bytes, form: str) -> str:
    return f"data:image/{form};base64,{base64.b64encode(data).decode()}"
