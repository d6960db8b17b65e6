"""A text tower that was exported and loaded again says what it said in training; a zero-shot by hand agrees."""

import numpy as np
import pytest
import torch

from data_specs.errors import ContractError
from data_specs.specs.embeddings import EmbeddingsSpec
from data_specs.specs.encoder import EncoderSpec
from models.embedder.build import build_embedder
from models.embedder.protocol import JointEmbedder
from models.encoder.exported import export, load_text
from models.encoder.objectives import Objective

SPEC = EncoderSpec(objective="clip", text_width=32, text_depth=1, text_heads=2, text_out=16, text_context=12)
TEXTS = ("a dog.", "a very long caption about a red teapot that stands on a wooden table in the kitchen", "")


@pytest.fixture(scope="module")
def objective() -> Objective:
    torch.manual_seed(0)
    return Objective(SPEC, 3).eval()


def test_loaded_towers_say_what_the_trained_ones_say(objective: Objective) -> None:
    assert objective.text is not None
    embedder = build_embedder("joint", EmbeddingsSpec(), export(objective.exported, objective.text), seed=0)
    assert isinstance(embedder, JointEmbedder)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8)
    with torch.no_grad():
        alone = build_embedder("trained", EmbeddingsSpec(pooling="cls"), export(objective.exported), 0)
        cls_ND = torch.from_numpy(alone.embed(pixels))
        images, texts = objective.text(cls_ND, TEXTS)
    assert np.allclose(embedder.embed(pixels), images.numpy(), atol=1e-6)
    assert np.allclose(embedder.embed_texts(TEXTS), texts.numpy(), atol=1e-6)
    assert embedder.embed_texts(TEXTS).shape == (3, 16)


def test_sentences_are_the_same_however_they_are_batched(objective: Objective) -> None:
    embedder = build_embedder("joint", EmbeddingsSpec(), export(objective.exported, objective.text), seed=0)
    assert isinstance(embedder, JointEmbedder)
    many = [f"a image of number {number}" for number in range(260)]
    together = embedder.embed_texts(many)
    assert np.array_equal(together[258:], embedder.embed_texts(many[258:]))


def test_other_embedders_read_no_sentences(objective: Objective) -> None:
    files = export(objective.exported)
    assert not isinstance(build_embedder("trained", EmbeddingsSpec(), files, 0), JointEmbedder)
    assert not isinstance(build_embedder("hog", EmbeddingsSpec(), {}, 0), JointEmbedder)


@pytest.mark.parametrize("lost", ["text.safetensors", "text.json", "tokenizer.json"])
def test_files_without_a_text_tower_are_refused(objective: Objective, lost: str) -> None:
    files = export(objective.exported, objective.text)
    with pytest.raises(ContractError, match="not an exported text tower"):
        load_text({name: data for name, data in files.items() if name != lost})
    with pytest.raises(ContractError, match="not an exported text tower"):
        load_text(files | {lost: b"{}"})


def test_hog_takes_images_of_any_size() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    hog = build_embedder("hog", EmbeddingsSpec(), {}, 0)
    width = hog.embed(pixels).shape[1]
    large = np.random.default_rng(0).integers(0, 256, (2, 90, 90, 3), np.uint8)
    assert hog.embed(large).shape == (2, width)
