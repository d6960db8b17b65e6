"""Encoders that training has to beat differ from one another, and are the same each time."""

import numpy as np
import pytest

from data_specs.errors import SpecError
from data_specs.specs.embeddings import EmbeddingsSpec
from models.embedder.build import build_embedder
from models.encoder.exported import export, random_backbone
from models.encoder.vit import VitShape

TRAINED = export(random_backbone(VitShape(width=16, depth=1, heads=2, patch=8, image_size=32), 0))
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)


def features(name: str, seed: int = 0) -> np.ndarray:
    return build_embedder(name, EmbeddingsSpec(), TRAINED, seed).embed(PIXELS)


def test_each_random_encoder_has_weights_of_its_own_that_follow_from_its_number_and_the_seed() -> None:
    names = [("random-0", 0), ("random-1", 0), ("random-0", 1), ("trained", 0)]
    found = [features(*name) for name in names]
    assert len({feature.shape for feature in found}) == 1
    for place, feature in enumerate(found):
        assert np.array_equal(features(*names[place]), feature)
        assert all(not np.allclose(feature, other, atol=1e-3) for other in found[:place])


def test_an_encoder_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(SpecError, match="no encoder is called 'dino'; there are trained"):
        features("dino")
