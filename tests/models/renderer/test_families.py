"""Every family of pipelines draws through the same engine: one noise an image, one encoding a caption, nothing else on it."""

import numpy as np
import pytest
import torch

from data_specs.errors import SpecError
from data_specs.specs.images import ImagesSpec
from models.renderer.build import build_renderer, require_renderer
from models.renderer.protocol import RenderRequest
from support.pipeline_folders import FAMILIES, folder

REQUESTS = [
    RenderRequest(text, seed)
    for seed, text in enumerate(["a dog on the beach", "a dog on the beach", "a cat", "a cat"])
]
TOKENS = {"sd3": 256, "flux": 512, "flux_schnell": 512, "pixart_alpha": 120, "pixart_sigma": 300}
ROUNDED = 1e-4
"""Sums round differently in batches of another size."""


def spec(family, **settings):
    said = {"model": str(folder(family)), "scheduler": None, "steps": 2, "size": 64, "batch_size": 4}
    return ImagesSpec(**(said | settings))


EVERY_DAY = {"sd15", "flux"}
"""A U-Net and a transformer; the others take as long each and come in when all tests run."""


def some(*families):
    """Parameters, of which those for every day run with `make test`."""
    return [pytest.param(name, marks=[] if name in EVERY_DAY else pytest.mark.long(10)) for name in families]


@pytest.fixture(scope="module", params=some(*FAMILIES))
def drawn(request):
    renderer = build_renderer(spec(request.param))
    return request.param, renderer, renderer.render(REQUESTS)


def test_a_seed_fixes_the_image_and_another_draws_another(drawn):
    family, renderer, images = drawn
    assert [image.shape for image in images] == [(64, 64, 3)] * 4 and all(np.isfinite(images).ravel())
    assert np.array_equal(renderer.render(REQUESTS), images)
    assert not np.allclose(images[0], images[1], atol=ROUNDED), "two seeds of one caption"
    same_noise = renderer.render([RenderRequest("a cat", 0), RenderRequest("a cat on a roof", 0)])
    assert not np.array_equal(*same_noise), "two captions of one seed"
    assert renderer.rendering.text_tokens == TOKENS.get(family, 77)


def test_the_start_noise_does_not_depend_on_the_batch(drawn, monkeypatch):
    _, renderer, images = drawn
    noises = []
    prepare = type(renderer._pipeline).prepare_latents

    def spy(self, *args, **kwargs):
        made = prepare(self, *args, **kwargs)
        noises.append(made[0] if isinstance(made, tuple) else made)
        return made

    monkeypatch.setattr(type(renderer._pipeline), "prepare_latents", spy)
    renderer.render(REQUESTS)
    monkeypatch.setattr(renderer._batches, "size", 1)
    alone = renderer.render(REQUESTS[::-1])[::-1]
    assert torch.equal(noises[0], torch.cat(noises[:0:-1]))
    assert np.allclose(alone, images, atol=ROUNDED)


def test_embeddings_draw_what_texts_draw(drawn):
    family, renderer, images = drawn
    pipeline, texts = renderer._pipeline, [request.text for request in REQUESTS]
    told = dict(renderer._always)
    if family == "flux_schnell":  # which has a true CFG if, and only if, it is told what to lead away from
        told["negative_prompt"] = [""] * len(texts)
    plain = pipeline(
        prompt=texts,
        generator=[torch.Generator().manual_seed(request.seed) for request in REQUESTS],
        num_inference_steps=2,
        **told,
    ).images
    assert np.allclose(plain, images, atol=ROUNDED)


def test_a_caption_is_encoded_once_also_over_two_batches(monkeypatch):
    renderer = build_renderer(spec("sdxl", batch_size=3))
    encoded, encode = [], renderer._prompts._encode
    monkeypatch.setattr(renderer._prompts, "_encode", lambda text: encoded.append(text) or encode(text))
    renderer.render(REQUESTS)
    assert encoded == ["a dog on the beach", "a cat"]


def test_a_negative_prompt_is_read_where_guidance_is_classifier_free(monkeypatch):
    plain = build_renderer(spec("sd3")).render(REQUESTS)
    led = build_renderer(spec("sd3", negative_prompt="a dog")).render(REQUESTS)
    assert not np.allclose(plain, led, atol=ROUNDED)
    for family in ("flux", "lcm"):
        with pytest.raises(SpecError, match=r"images\.negative_prompt: .* reads none; leave it empty"):
            require_renderer(spec(family, negative_prompt="a dog"))


@pytest.mark.parametrize("family", some("sd15", "sdxl", "sd3", "flux_schnell", "pixart_sigma"))
def test_without_guidance_every_step_looks_at_each_image_once(family):
    renderer = build_renderer(spec(family, guidance_scale=0))
    seen = []
    unit = getattr(renderer._pipeline, "unet", None) or renderer._pipeline.transformer
    unit.register_forward_pre_hook(
        lambda _, args, named: seen.append(len(args[0] if args else named["hidden_states"])), with_kwargs=True
    )
    renderer.render(REQUESTS)
    assert set(seen) == {4}


def test_a_distilled_model_takes_guidance_as_a_number():
    weak, strong = (build_renderer(spec("flux", guidance_scale=scale)).render(REQUESTS) for scale in (0, 5))
    assert not np.allclose(weak, strong, atol=1e-6)


def test_the_size_is_the_models_own_unless_it_is_said():
    assert build_renderer(spec("sd15", size=None)).rendering.width == 512
    assert build_renderer(spec("pixart_alpha", size=None)).rendering.width == 64
    assert build_renderer(spec("flux", size=None)).rendering.width == 1024


def test_text_tokens_say_how_much_a_large_text_encoder_reads():
    renderer = build_renderer(spec("sd3", text_tokens=100))
    assert renderer.rendering.text_tokens == 100
    assert renderer.truncated_tokens(["a" * 300]) == [202], "a letter is a token, and there are two marks"
    with pytest.raises(SpecError, match=r"images\.text_tokens: StableDiffusionPipeline reads what"):
        require_renderer(spec("sd15", text_tokens=100))


def test_half_precision_files_are_taken_where_there_are_no_others():
    place = folder("sdxl", "fp16")
    assert not list(place.rglob("model.safetensors"))
    assert build_renderer(spec("sdxl", model=str(place))).render(REQUESTS[:1])


def test_nothing_is_drawn_on_the_images():
    pipeline = build_renderer(spec("sd15"))._pipeline
    assert pipeline.safety_checker is None
    assert build_renderer(spec("sdxl"))._pipeline.watermark is None
