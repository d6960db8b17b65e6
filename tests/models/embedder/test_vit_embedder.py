"""What an embedding of a ViT is made of: pooled tokens of its last blocks, the output last."""

import numpy as np

from data_specs.specs.embeddings import EmbeddingsSpec
from models.embedder.build import build_embedder
from models.encoder.exported import export, random_backbone
from models.encoder.vit import VitShape

FILES = export(random_backbone(VitShape(width=16, depth=3, heads=2, patch=8, image_size=32), 0))
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)


def features(**settings: object) -> np.ndarray:
    return build_embedder("trained", EmbeddingsSpec.model_validate(settings), FILES, 0).embed(PIXELS)


def test_blocks_stand_side_by_side_and_the_last_is_the_output() -> None:
    assert features().shape == (5, 32) and features(pooling="cls").shape == (5, 16)
    of_two = features(blocks=2)
    assert of_two.shape == (5, 64)
    assert np.array_equal(of_two[:, 32:], features())
    assert not np.array_equal(of_two[:, :32], features())
    assert np.array_equal(features(blocks=99), features(blocks=3))


def test_cls_and_mean_stand_side_by_side_block_by_block() -> None:
    both, cls, mean = (features(blocks=2, pooling=pooling).reshape(5, 2, -1) for pooling in ("both", "cls", "mean"))
    assert np.array_equal(both, np.concatenate([cls, mean], 2))
