"""The photographs that ship can be scored: features that hold something of an image are well above chance on them."""

import io
from statistics import fmean

import numpy as np
import pytest
from PIL import Image

from data_specs.embedding import Embedding
from data_specs.specs.embeddings import EmbeddingsSpec, PhotographBenchmark
from data_specs.specs.scores import ScoresSpec
from models.embedder.hog import HogEmbedder
from tasks.embeddings.jobs import metric_of
from tasks.embeddings.photographs import FIFTHS, PhotographSet, photographs_of
from tasks.scores.jobs import EvaluationJob
from tasks.scores.score_embeddings import score_embeddings


@pytest.mark.slow(20)
@pytest.mark.parametrize(("name", "expected"), [("photographs", 0.66), ("clothes", 0.81)])
def test_hog_tells_them_apart(name: PhotographBenchmark, expected: float) -> None:
    job = EvaluationJob(seed=0, metric=metric_of(EmbeddingsSpec(), name))
    scores = list(score_embeddings(_by_hog(name), job, ScoresSpec(protocols=("ridge",)), frozenset()))
    assert fmean(score.value for score in scores if score.subset == "all") == pytest.approx(expected, abs=0.03)
    assert len({score.fold for score in scores}) == FIFTHS
    assert {score.metric for score in scores} == {"mean_per_class" if name == "photographs" else "top1"}


def _by_hog(name: PhotographBenchmark) -> list[Embedding]:
    found = []
    for image in photographs_of(PhotographSet(name, 0), 0, 1):
        [feature] = HogEmbedder().embed(np.asarray(Image.open(io.BytesIO(image.data)).convert("RGB"))[None])
        found.append(
            Embedding(
                id=image.id,
                encoder="hog",
                benchmark=name,
                group=image.group,
                labels=image.labels,
                category=image.category,
                copy=image.copy,
                dimension=len(feature),
                feature=np.ascontiguousarray(feature, "<f4").tobytes(),
            )
        )
    return found
