"""What every scorer keeps: the fake, a CLIP in Hugging Face's layout and an encoder trained here pass the same suite."""

import shutil
from dataclasses import astuple

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, CLIPModel, CLIPTokenizer

from data_specs.errors import EngineError, SpecError
from data_specs.specs.embeddings import EmbeddingsSpec
from data_specs.specs.images import ImagesSpec, ScorerSpec
from models.embedder.build import build_embedder
from models.scorer.build import ENCODER_FILES, TEXT_FILES, build_scorer, identify_scorer, require_scorers

DRAWN = np.random.default_rng(0)
IMAGES = [DRAWN.random((48, 48, 3), np.float32) ** power for power in range(1, 12)]
TEXTS = [f"a dog on the beach, number {number // 2}" for number in range(11)]


@pytest.fixture(scope="module", params=["fake", "clip", "encoder"])
def spec(request):
    named = request.param
    model = "none" if named == "fake" else str(request.getfixturevalue(f"{named}_folder"))
    return ImagesSpec(scorer=ScorerSpec(engine=named, model=model))


@pytest.fixture(scope="module")
def scorer(spec):
    return build_scorer(spec)


def test_each_image_has_one_number_that_a_cosine_can_be(scorer):
    scores = scorer.score(IMAGES, TEXTS)
    assert len(scores) == len(IMAGES) and all(isinstance(score, float) and -1 <= score <= 1 for score in scores)
    assert len({round(score, 6) for score in scores}) == len(scores)
    assert scorer.score([], []) == []


def test_a_score_follows_from_its_image_and_text_and_not_from_its_neighbours(scorer):
    together = scorer.score(IMAGES, TEXTS)
    alone = [scorer.score([image], [text])[0] for image, text in zip(IMAGES, TEXTS, strict=True)]
    assert together == pytest.approx(alone, abs=1e-6)
    assert scorer.score(IMAGES[::-1], TEXTS[::-1])[::-1] == pytest.approx(together, abs=1e-6)
    assert scorer.score(IMAGES[:1], ["a teapot"]) != pytest.approx(together[:1], abs=1e-6)


def test_what_eight_bits_do_not_hold_changes_no_score_and_a_broken_image_has_one(scorer):
    stored = [(image * 255).round() / 255 for image in IMAGES]
    assert scorer.score([(image + 1e-4).astype(np.float32) for image in stored], TEXTS) == scorer.score(stored, TEXTS)
    [broken] = scorer.score([np.full((48, 48, 3), np.nan, np.float32)], ["a dog"])
    assert np.isfinite(broken)


def test_the_scorer_knows_which_weights_it_is(scorer, spec):
    assert scorer.identity == identify_scorer(spec) and all(astuple(scorer.identity))


def test_clip_says_what_transformers_own_pipeline_of_it_says(clip_folder):
    model, tokenizer = CLIPModel.from_pretrained(clip_folder).eval(), CLIPTokenizer.from_pretrained(clip_folder)
    processor = AutoImageProcessor.from_pretrained(clip_folder)
    images = [Image.fromarray((image * 255).round().astype(np.uint8)) for image in IMAGES]
    with torch.inference_mode():
        out = model(**tokenizer(TEXTS, padding=True, return_tensors="pt"), **processor(images, return_tensors="pt"))
    scorer = build_scorer(ImagesSpec(scorer=ScorerSpec(engine="clip", model=str(clip_folder))))
    # Pillow rounds to 8 bits after it resamples, torch does not.
    assert scorer.score(IMAGES, TEXTS) == pytest.approx((out.image_embeds * out.text_embeds).sum(1).tolist(), abs=5e-3)


def test_an_encoder_says_what_the_embeddings_stage_says_of_it(encoder_folder):
    files = {path.name: path.read_bytes() for path in encoder_folder.iterdir()}
    embedder = build_embedder("joint", EmbeddingsSpec(), files, 0)
    seen = embedder.embed(np.stack([(image * 255).round().astype(np.uint8) for image in IMAGES]))
    said = embedder.embed_texts(TEXTS)
    cosines = (seen * said).sum(1) / np.linalg.norm(seen, axis=1) / np.linalg.norm(said, axis=1)
    scorer = build_scorer(ImagesSpec(scorer=ScorerSpec(engine="encoder", model=str(encoder_folder))))
    assert scorer.score(IMAGES, TEXTS) == pytest.approx(cosines.tolist(), abs=1e-5)


def scored_by(engine, model, revision=None):
    return ImagesSpec(scorer=ScorerSpec(engine=engine, model=str(model), revision=revision))


def test_an_exported_encoder_is_the_files_that_are_looked_for(encoder_folder):
    assert {path.name for path in encoder_folder.iterdir()} == {*ENCODER_FILES, *TEXT_FILES}


def test_a_recipe_whose_scorer_is_not_there_is_refused_before_work_starts(
    encoder_folder, clip_folder, checker_folder, tmp_path
):
    with pytest.raises(SpecError, match=r"images\.scorer\.model: there is no folder 'nowhere'; an encoder's is <root>"):
        require_scorers(scored_by("encoder", "nowhere"))
    (tmp_path / "other" / "a folder.txt").mkdir(parents=True)
    (tmp_path / "other" / "model.safetensors").write_bytes(b"of something else")
    with pytest.raises(SpecError, match="holds no trained encoder"):
        require_scorers(scored_by("encoder", tmp_path / "other"))
    shutil.copytree(encoder_folder, tmp_path / "blind")
    for name in TEXT_FILES:
        (tmp_path / "blind" / name).unlink()
    with pytest.raises(SpecError, match=r"reads no captions \(text\.safetensors.*encoder\.objective=clip"):
        require_scorers(scored_by("encoder", tmp_path / "blind"))
    with pytest.raises(SpecError, match="pin its commit"):
        require_scorers(scored_by("clip", "openai/clip-vit-base-patch32"))
    with pytest.raises(SpecError, match=r"lacks tokenizer_config\.json"):
        require_scorers(scored_by("clip", checker_folder))
    for spec in (scored_by("encoder", encoder_folder), scored_by("clip", clip_folder), ImagesSpec()):
        require_scorers(spec)
    assert build_scorer(ImagesSpec()) is None and identify_scorer(ImagesSpec()) is None


def test_weights_that_a_clip_lacks_are_missed_and_random_ones_do_not_stand_in(clip_folder, checker_folder, tmp_path):
    shutil.copytree(clip_folder, tmp_path / "torn")
    shutil.copy(checker_folder / "model.safetensors", tmp_path / "torn")
    with pytest.raises(SpecError, match=r"is no CLIPModel: it lacks \d+ of its weights"):
        build_scorer(scored_by("clip", tmp_path / "torn"))


def test_a_backend_that_fails_is_the_engines_failure_with_a_way_out(clip_folder, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    scorer = build_scorer(scored_by("clip", clip_folder))
    monkeypatch.setattr(CLIPModel, "get_image_features", full)
    with pytest.raises(EngineError, match=r"could not score images: CUDA out of memory; .*execution\.workers"):
        scorer.score(IMAGES, TEXTS)


def test_memory_that_runs_out_while_it_is_loaded_is_no_fault_of_the_recipe(clip_folder, encoder_folder, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(CLIPModel, "from_pretrained", full)
    monkeypatch.setattr(torch.nn.Module, "to", full)
    for spec in (scored_by("clip", clip_folder), scored_by("encoder", encoder_folder)):
        with pytest.raises(
            EngineError, match=r"images\.scorer\.model: .* does not fit into memory.*execution\.workers"
        ):
            build_scorer(spec)
