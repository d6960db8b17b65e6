"""Build the scheduler that the spec names, and check that it fits the model."""

import inspect
import re
from typing import Any

import diffusers
import torch

from data_specs.errors import SpecError
from data_specs.specs.images import ImagesSpec
from models.renderer.layout import Layout

BATCH_NOISE = frozenset({"DPMSolverSDEScheduler", "CosineDPMSolverMultistepScheduler"})
"""Schedulers that draw the noise of a whole batch from one seed: an image would depend on its neighbours."""
ETA = "eta"
"""DDIM's share of fresh noise: a recipe sets it with the scheduler's options, but it is an argument of the pipeline's call."""
FLOW = "flow_prediction"
BETAS = frozenset({"beta_start", "beta_end"})
NOISE = BETAS | {"prediction_type"}
"""Settings that carry a model's noise from its own scheduler to another; consistency, score and EDM models have none."""
STEP = re.compile(r"scheduler\.step\([^)]*\)")
"""In a pipeline's source: the arguments of each step. No signature shows them, and some pipelines prepare more than they pass."""


def build_scheduler(layout: Layout, spec: ImagesSpec) -> Any:
    """The scheduler with the model's own settings, overridden by the spec's. Raises SpecError: setting, value, way out."""
    config = layout.config_of("scheduler/scheduler_config.json")
    own = str(config.get("_class_name", layout.parts.get("scheduler")))
    name = spec.scheduler or own
    if name in BATCH_NOISE:
        raise SpecError(f"images.scheduler: {name} draws one noise for a whole batch; use DPMSolverMultistepScheduler")
    kind: Any = getattr(diffusers, name, None)
    if not hasattr(kind, "from_config") or not hasattr(kind, "set_timesteps"):
        raise SpecError(f"images.scheduler: diffusers has no scheduler {name!r}; null takes the model's own, {own}")
    options = {key: value for key, value in spec.scheduler_options.items() if key != ETA}
    known = set(inspect.signature(kind).parameters)
    if unknown := sorted(options.keys() - known):
        raise SpecError(f"images.scheduler_options: {name} has no {unknown[0]!r}; it has {', '.join(sorted(known))}")
    if ETA in spec.scheduler_options and ETA not in inspect.signature(kind.step).parameters:
        raise SpecError(f"images.scheduler_options: {name} takes no eta; leave it out, or use DDIMScheduler")
    try:
        scheduler: Any = kind.from_config(config, **options)
        _require_same_kind(layout, own, config, name, scheduler)
        if not scheduler.config.get("use_dynamic_shifting"):  # which asks for the size of the latents
            scheduler.set_timesteps(spec.steps)
    except (ValueError, TypeError, NotImplementedError, IndexError, ZeroDivisionError) as error:
        fault = " ".join(str(error).split())[:300]
        raise SpecError(f"images.scheduler: {name} refuses {options} with {spec.steps} steps: {fault}") from error
    return kind.from_config(config, **options)


def require_called_right(kind: Any, layout: Layout, scheduler: Any, spec: ImagesSpec) -> None:
    """Check the arguments that the pipeline's call passes, and does not pass, to its scheduler. Raises SpecError."""
    known, name = inspect.signature(kind.__call__).parameters, type(scheduler).__name__
    way = f"null takes the model's own, {layout.parts.get('scheduler')}"
    if ETA in spec.scheduler_options and ETA not in known:
        raise SpecError(
            f"images.scheduler_options: {kind.__name__} takes no eta ({spec.scheduler_options[ETA]}); leave it out"
        )
    source, dynamic = inspect.getsource(kind.__call__), bool(scheduler.config.get("use_dynamic_shifting"))
    shared = [call for call in STEP.findall(source) if "generator" not in call and "extra_step_kwargs" not in call]
    # Consistency models take original_inference_steps; their call passes its step no eta either.
    passed = {"original_inference_steps"} & known.keys()
    fits = not passed or ETA not in inspect.signature(scheduler.step).parameters
    passed |= {"mu"} if dynamic and shared else set()
    passed |= {"sigmas"} if "sigmas = np.linspace(" in source and not scheduler.config.get("use_flow_sigmas") else set()
    if not fits or passed - inspect.signature(scheduler.set_timesteps).parameters.keys():
        raise SpecError(f"images.scheduler: {kind.__name__} cannot render with {name}; {way}")
    if shared and _draws_noise(scheduler, spec.steps, dynamic):
        options = {key: value for key, value in spec.scheduler_options.items() if key != ETA}
        raise SpecError(
            f"images.scheduler: {name} with {options} draws noise in each step, which {kind.__name__} does not let it take "
            f"from the image's own seed; use one that draws none: {way}"
        )


def _draws_noise(scheduler: Any, steps: int, dynamic: bool) -> bool:
    """Whether a step draws noise from the generator that all images share, found by running one step."""
    scheduler.set_timesteps(steps, **({"mu": 1.0} if dynamic else {}))
    with torch.random.fork_rng(devices=[]):
        before, sample = torch.get_rng_state(), torch.zeros(1, 4, 8, 8)
        scheduler.step(sample, scheduler.timesteps[0], sample)
        return not torch.equal(before, torch.get_rng_state())


def _require_same_kind(layout: Layout, own: str, config: dict[str, Any], name: str, scheduler: Any) -> None:
    """A model that predicts a flow with a scheduler that expects noise, or the reverse, renders grey mud. Raises SpecError."""
    flow = _flows(own, config)
    way = f"null takes the model's own, {own}"
    if flow != _flows(name, scheduler.config):
        fits = False
        way += "; some take use_flow_sigmas: true, prediction_type: flow_prediction" if flow else ""
    else:
        noise = (
            inspect.signature(type(scheduler)).parameters.keys() >= NOISE
            and config.keys() >= BETAS
            and "Inverse" not in name
        )
        fits = flow or name == own or noise
    if not fits:
        raise SpecError(f"images.scheduler: {name} does not fit {layout.pipeline}, made for {own}: {way}")


def _flows(name: str, config: Any) -> bool:
    return "FlowMatch" in name or (bool(config.get("use_flow_sigmas")) and config.get("prediction_type") == FLOW)
