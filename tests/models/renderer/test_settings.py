"""A setting that cannot work with the model, or on this machine, is refused before work, with its value and the way out."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from data_specs.errors import SpecError
from data_specs.specs.images import ImagesSpec
from models.renderer.build import build_renderer, require_renderer
from models.renderer.layout import read_layout
from models.renderer.protocol import RenderRequest
from models.renderer.scheduling import build_scheduler
from support.pipeline_folders import folder


def spec(family, **settings):
    return ImagesSpec(**({"model": str(folder(family)), "scheduler": None, "steps": 2, "size": 64} | settings))


@pytest.mark.parametrize(
    ("family", "settings", "said"),
    [
        (
            "sd15",
            {"scheduler": "Fast"},
            "images.scheduler: diffusers has no scheduler 'Fast'; null takes .* PNDMScheduler",
        ),
        ("sd15", {"scheduler": "AutoencoderKL"}, "images.scheduler: diffusers has no scheduler"),
        (
            "sd15",
            {"scheduler": "DDIMScheduler", "scheduler_options": {"etta": 0}},
            "DDIMScheduler has no 'etta'; it has beta_end",
        ),
        ("sd15", {"scheduler_options": {"eta": 0.5}}, "PNDMScheduler takes no eta; leave it out, or use DDIMScheduler"),
        (
            "sd15",
            {"scheduler": "DPMSolverMultistepScheduler", "scheduler_options": {"algorithm_type": "fast"}},
            "images.scheduler: DPMSolverMultistepScheduler refuses .*'fast'",
        ),
        ("sd15", {"scheduler": "LCMScheduler", "steps": 100}, "LCMScheduler refuses .* with 100 steps"),
        (
            "sd15",
            {"scheduler": "FlowMatchEulerDiscreteScheduler"},
            "does not fit StableDiffusionPipeline, made for PNDM.*null takes",
        ),
        ("sd15", {"scheduler": "DDIMInverseScheduler"}, "does not fit StableDiffusionPipeline"),
        ("sd15", {"scheduler": "EDMEulerScheduler"}, "does not fit StableDiffusionPipeline"),
        ("sd15", {"scheduler": "DPMSolverSDEScheduler"}, "draws one noise for a whole batch"),
        (
            "sd3",
            {"scheduler": "DDIMScheduler"},
            "DDIMScheduler does not fit StableDiffusion3Pipeline.*null takes the model's own",
        ),
        ("flux", {"scheduler": "DPMSolverMultistepScheduler"}, "does not fit FluxPipeline.*use_flow_sigmas: true"),
        (
            "lcm",
            {"scheduler": "DDIMScheduler"},
            "LatentConsistencyModelPipeline cannot render with DDIM.*; null takes .* LCM",
        ),
        (
            "lcm",
            {"scheduler": "DDIMScheduler", "scheduler_options": {"eta": 0.5}},
            "scheduler_options: LatentConsistencyModelPipeline takes no eta .0.5.; leave it out",
        ),
        (
            "sd3",
            {"scheduler_options": {"stochastic_sampling": True}},
            "'stochastic_sampling': True} draws noise in each step, which StableDiffusion3Pipeline .*; use one that",
        ),
        (
            "flux",
            {"scheduler": "FlowMatchLCMScheduler"},
            "FlowMatchLCMScheduler .* draws noise in each step, which FluxPipeline .*null takes .* FlowMatchEuler",
        ),
        (
            "sd3",
            {
                "scheduler": "DPMSolverMultistepScheduler",
                "scheduler_options": {
                    "use_flow_sigmas": True,
                    "prediction_type": "flow_prediction",
                    "algorithm_type": "sde-dpmsolver++",
                },
            },
            "draws noise in each step",
        ),
        ("lcm", {"scheduler": "TCDScheduler", "steps": 4}, "LatentConsistencyModelPipeline cannot render with TCD"),
        ("flux", {"scheduler": "FlowMatchHeunDiscreteScheduler"}, "FluxPipeline cannot render with FlowMatchHeun"),
        (
            "flux_schnell",
            {"scheduler": "FlowMatchHeunDiscreteScheduler"},
            "FluxPipeline cannot render with FlowMatchHeun",
        ),
        ("sd15", {"size": 100}, "images.size: .* renders multiples of 8, not 100; use 96"),
        ("flux", {"size": 72}, "images.size: .* renders multiples of 16, not 72; use 64"),
        ("sd3", {"size": 72}, "images.size: .* renders multiples of 16"),
        ("sd15", {"device": "cuda:7"}, "images.device: cuda:7 is not here"),
        ("sd15", {"device": "cpu", "offload": True}, "images.offload: there is no GPU to be spared here"),
        ("sd15", {"attention": "fast"}, "images.attention: .* has no 'fast'; it has native, sliced, xformers"),
        ("sd15", {"attention": "xformers"}, "images.attention: xformers cannot work here"),
        ("flux", {"attention": "sliced"}, "images.attention: FluxPipeline has no 'sliced'; it has flash"),
        ("flux", {"attention": "sage"}, "images.attention: sage cannot work here"),
        ("flux", {"channels_last": True}, "images.channels_last: of use to U-Nets alone"),
    ],
)
def test_what_does_not_fit_is_refused(family, settings, said):
    with pytest.raises(SpecError, match=said) as refused:
        require_renderer(spec(family, **settings))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("sd15", {"scheduler": "DDIMScheduler", "steps": 50, "scheduler_options": {"eta": 0.0}}),
        ("sd15", {"scheduler": "DPMSolverMultistepScheduler", "scheduler_options": {"use_karras_sigmas": True}}),
        ("sd15", {"scheduler": "LCMScheduler", "steps": 4}),
        ("sd15", {"scheduler": "TCDScheduler", "steps": 4}),
        ("sd15", {"scheduler": "EulerAncestralDiscreteScheduler"}),
        (
            "sd15",
            {"scheduler": "DPMSolverMultistepScheduler", "scheduler_options": {"algorithm_type": "sde-dpmsolver++"}},
        ),
        ("sd3", {"scheduler": "FlowMatchHeunDiscreteScheduler"}),
        ("flux", {"scheduler_options": {"shift": 2.0, "use_dynamic_shifting": False}}),
        (
            "sd3",
            {
                "scheduler": "DPMSolverMultistepScheduler",
                "scheduler_options": {"use_flow_sigmas": True, "prediction_type": "flow_prediction"},
            },
        ),
    ],
)
def test_what_fits_passes(family, settings):
    require_renderer(spec(family, **settings))


def test_ddim_of_synclr_takes_over_what_the_model_says_of_its_noise():
    scheduler = build_scheduler(
        read_layout(str(folder("sd15")), None), spec("sd15", scheduler="DDIMScheduler", steps=50)
    )
    assert (scheduler.config.beta_end, scheduler.config.steps_offset, scheduler.config.set_alpha_to_one) == (
        0.012,
        1,
        False,
    )
    scheduler.set_timesteps(50)
    assert scheduler.timesteps[0] == 981 and len(scheduler.timesteps) == 50


def test_eta_goes_to_every_call_and_its_noise_is_each_images_own():
    requests = [RenderRequest("a cat", seed) for seed in range(4)]
    settings = {"scheduler": "DDIMScheduler", "steps": 3, "batch_size": 4}
    plain = build_renderer(spec("sd15", **settings)).render(requests)
    renderer = build_renderer(spec("sd15", **settings, scheduler_options={"eta": 1.0}))
    noisy = renderer.render(requests)
    assert not torch.allclose(torch.tensor(plain[0]), torch.tensor(noisy[0]), atol=1e-3)
    assert torch.allclose(torch.tensor(renderer.render(requests[2:3])[0]), torch.tensor(noisy[2]), atol=1e-4)


def test_what_only_takes_less_memory_or_time_draws_the_same():
    requests = [RenderRequest("a cat", seed) for seed in range(2)]
    plain = build_renderer(spec("sd15", batch_size=2)).render(requests)
    for settings in ({"attention": "sliced"}, {"attention": "native"}, {"channels_last": True}, {"vae_slicing": True}):
        images = build_renderer(spec("sd15", batch_size=2, **settings)).render(requests)
        assert torch.allclose(torch.tensor(images[0]), torch.tensor(plain[0]), atol=1e-4), settings


def test_a_negative_prompt_without_guidance_is_a_recipe_that_says_two_things():
    with pytest.raises(
        ValidationError, match=r"negative_prompt is read by classifier-free guidance alone.*guidance_scale"
    ):
        ImagesSpec(negative_prompt="blurred", guidance_scale=1)


@pytest.mark.slow(15)
def test_a_compiled_unit_is_one_graph_for_full_and_short_batches(monkeypatch):
    """By TorchDynamo alone, whose graphs run as they are: a compiler would take minutes."""
    compiled = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: compiled(self, backend="eager", **options))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    requests = [RenderRequest("a cat", seed) for seed in range(3)]
    images = build_renderer(spec("lcm", batch_size=2, compile=True)).render(requests)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    assert not torch._dynamo.utils.counters["graph_break"]
    assert np.allclose(images, build_renderer(spec("lcm", batch_size=2)).render(requests), atol=1e-4)
