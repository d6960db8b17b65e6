"""The photographs that ship can be scored: features that hold something of an image are well above chance on them."""

from pathlib import Path
from statistics import fmean

import pytest

from data_specs.specs.embeddings import EmbeddingsSpec, PhotographBenchmark
from data_specs.specs.scores import ScoresSpec
from models.embedder.hog import HogEmbedder
from tasks.embeddings.benchmarks import benchmark_of, benchmark_shards, seal_part
from tasks.embeddings.extract import embed_benchmark
from tasks.embeddings.jobs import EmbeddingJob, metric_of
from tasks.embeddings.photographs import FIFTHS
from tasks.scores.jobs import EvaluationJob
from tasks.scores.score_embeddings import score_embeddings


@pytest.mark.slow(20)
@pytest.mark.parametrize(("name", "expected"), [("photographs", 0.66), ("clothes", 0.81)])
def test_hog_tells_them_apart(name: PhotographBenchmark, expected: float, tmp_path: Path) -> None:
    benchmark = benchmark_of(EmbeddingsSpec(), name, 0, {})
    shards = benchmark_shards(str(tmp_path), benchmark)
    for shard in shards:
        seal_part(benchmark, shard)
    embeddings = list(embed_benchmark(shards, HogEmbedder(), EmbeddingJob("hog", name, 0)))
    job = EvaluationJob(seed=0, metric=metric_of(EmbeddingsSpec(), name))
    scores = list(score_embeddings(embeddings, job, ScoresSpec(protocols=("ridge",)), frozenset()))
    assert fmean(score.value for score in scores if score.subset == "all") == pytest.approx(expected, abs=0.03)
    assert len({score.fold for score in scores}) == FIFTHS
    assert {score.metric for score in scores} == {"mean_per_class" if name == "photographs" else "top1"}
