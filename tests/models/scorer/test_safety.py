"""A safety checker says how far beyond safe an image is: above 0 where the class' own forward pass blackens it."""

import json
import shutil

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import AutoImageProcessor

from data_specs.errors import SpecError
from data_specs.specs.images import ImagesSpec, SafetySpec
from models.renderer.build import TINY
from models.scorer import build
from models.scorer.build import build_checker, identify_checker, require_scorers

DRAWN = np.random.default_rng(0)
IMAGES = [(DRAWN.random((32, 32, 3)) * DRAWN.random(3)).astype(np.float32) for _ in range(24)]
EIGHT_BITS = [(image * 255).round().astype(np.uint8) for image in IMAGES]


def with_checker(checker, **settings):
    return ImagesSpec(safety=SafetySpec(model=checker and str(checker), policy="keep"), **settings)


@pytest.fixture(scope="module")
def pipeline_folder(checker_folder, tmp_path_factory):
    """A Stable Diffusion pipeline with a checker of its own."""
    folder = tmp_path_factory.mktemp("pipelines") / "sd"
    shutil.copytree(TINY, folder)
    for part, file in (("safety_checker", "model.safetensors"), ("feature_extractor", "preprocessor_config.json")):
        (folder / part).mkdir()
        shutil.copy(checker_folder / file, folder / part)
    shutil.copy(checker_folder / "config.json", folder / "safety_checker")
    return folder


def test_what_is_above_zero_is_what_the_class_flags(checker_folder):
    own = StableDiffusionSafetyChecker.from_pretrained(checker_folder).eval()
    pixels = AutoImageProcessor.from_pretrained(checker_folder)(EIGHT_BITS, return_tensors="pt").pixel_values
    _, flags = own(pixels, np.stack(IMAGES))
    scores = build_checker(with_checker(checker_folder)).check(IMAGES)
    assert 4 < sum(flags) < 20
    # The class rounds to three digits before it compares.
    clear = [(score > 0, flag) for score, flag in zip(scores, flags, strict=True) if abs(score) > 1e-3]
    assert len(clear) > 20 and all(above == flag for above, flag in clear)


def test_scores_are_those_of_a_naive_loop_over_concepts(checker_folder):
    own = StableDiffusionSafetyChecker.from_pretrained(checker_folder).eval()
    pixels = AutoImageProcessor.from_pretrained(checker_folder)(EIGHT_BITS, return_tensors="pt").pixel_values
    with torch.no_grad():
        seen = own.visual_projection(own.vision_model(pixels)[1])
    expected = []
    for vector in seen:
        care = any(
            torch.cosine_similarity(vector, concept, dim=0) > threshold
            for concept, threshold in zip(own.special_care_embeds, own.special_care_embeds_weights, strict=True)
        )
        beyond = [
            torch.cosine_similarity(vector, concept, dim=0).item() - threshold.item()
            for concept, threshold in zip(own.concept_embeds, own.concept_embeds_weights, strict=True)
        ]
        expected.append(max(beyond) + 0.01 * care)
    checker = build_checker(with_checker(checker_folder))
    assert checker.check(IMAGES) == pytest.approx(expected, abs=1e-4)
    assert checker.check(IMAGES[:1]) == pytest.approx(expected[:1], abs=1e-4) and checker.check([]) == []


def test_a_pipelines_own_checker_is_found_in_its_folder(pipeline_folder, checker_folder):
    spec = with_checker(None, model=str(pipeline_folder))
    require_scorers(spec)
    checker = build_checker(spec)
    assert checker.identity == identify_checker(spec) and checker.identity.id == "sd/safety_checker"
    assert checker.check(IMAGES[:3]) == build_checker(with_checker(checker_folder)).check(IMAGES[:3])


def test_weights_under_the_names_that_were_published_are_read(checker_folder, tmp_path):
    """Stable Diffusion 1.5's file says `vision_model.vision_model.`, and holds a buffer that is no weight any more."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(checker_folder, tmp_path / "old")
    tensors = {
        name.replace("vision_model.", "vision_model.vision_model.", 1)
        if name.startswith("vision_model.") and not name.startswith("vision_model.vision_model.")
        else name: tensor
        for name, tensor in load_file(checker_folder / "model.safetensors").items()
    }
    tensors["vision_model.vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    save_file(tensors, tmp_path / "old" / "model.safetensors", metadata={"format": "pt"})
    published, here = (build_checker(with_checker(folder)) for folder in (tmp_path / "old", checker_folder))
    assert published.check(IMAGES[:2]) == here.check(IMAGES[:2])


def test_a_recipe_whose_checker_is_not_there_is_refused_before_work_starts(checker_folder, pipeline_folder, tmp_path):
    with pytest.raises(SpecError, match=r"images\.safety\.model: 'tiny' has no safety checker of its own"):
        require_scorers(with_checker(None))
    with pytest.raises(SpecError, match=r"images\.safety\.model: there is no folder '/nowhere'"):
        require_scorers(with_checker("/nowhere"))
    shutil.copytree(pipeline_folder, tmp_path / "sd")
    shutil.rmtree(tmp_path / "sd" / "feature_extractor")
    with pytest.raises(SpecError, match=r"lacks \.\./feature_extractor/preprocessor_config\.json"):
        require_scorers(with_checker(None, model=str(tmp_path / "sd")))
    shutil.copytree(checker_folder, tmp_path / "cut")
    with (tmp_path / "cut" / "model.safetensors").open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(SpecError, match=r"images\.safety\.model: model\.safetensors of .* fetch it again"):
        require_scorers(with_checker(tmp_path / "cut"))
    shutil.copytree(checker_folder, tmp_path / "other")
    (tmp_path / "other" / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(SpecError, match=r"a model of the kind 'vit', not CLIP"):
        require_scorers(with_checker(tmp_path / "other"))


def test_a_pipeline_on_the_hub_without_a_checker_is_refused_before_work_starts(monkeypatch):
    files = {"model_index.json", "unet/diffusion_pytorch_model.safetensors"}
    monkeypatch.setattr(build, "listed", lambda *_, **__: frozenset(files))
    spec = with_checker(None, model="some/pipeline", revision="0" * 40)
    with pytest.raises(SpecError, match=r"'some/pipeline' has no safety checker of its own at 0{40}"):
        require_scorers(spec)
    files.add("safety_checker/config.json")
    require_scorers(spec)


def test_weights_of_another_model_are_refused_and_random_ones_do_not_stand_in(clip_folder):
    with pytest.raises(SpecError, match=r"is no StableDiffusionSafetyChecker: it lacks \d+ of its weights"):
        build_checker(with_checker(clip_folder))
