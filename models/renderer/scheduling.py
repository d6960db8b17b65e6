"""A scheduler's name and settings enter; the scheduler leaves, or why it does not fit the model."""

import inspect
import re
from typing import Any

import diffusers
import torch

from data_specs.errors import SpecError
from data_specs.run import ImagesSpec
from models.renderer.layout import Layout

BATCH_NOISE = frozenset({"DPMSolverSDEScheduler", "CosineDPMSolverMultistepScheduler"})
"""They draw noise for a whole batch from one seed: a picture would depend on its neighbours."""
ETA = "eta"
"""DDIM's share of fresh noise: said with the scheduler's settings, but given to each call of the pipeline."""
FLOW = "flow_prediction"
BETAS = frozenset({"beta_start", "beta_end"})
NOISE = BETAS | {"prediction_type"}
STEP = re.compile(r"scheduler\.step\([^)]*\)")
"""In a pipeline's source: what its loop hands to each step. No signature tells it, and some have the means but not the use."""
"""Settings by which a model's noise is handed from its own scheduler to another; consistency, score and EDM models have none."""


def build_scheduler(layout: Layout, spec: ImagesSpec) -> Any:
    """The model's own settings with the spec's on top. Raises SpecError, which names knob, value and the way out."""
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
        said = " ".join(str(error).split())[:300]
        asked = f"{options} with {spec.steps} steps"
        raise SpecError(f"images.scheduler: {name} refuses {asked}: {said}") from error
    return kind.from_config(config, **options)


def require_called_right(kind: Any, layout: Layout, scheduler: Any, spec: ImagesSpec) -> None:
    """What the pipeline's call tells its scheduler, and what it does not, must suit it. Raises SpecError."""
    known, name = inspect.signature(kind.__call__).parameters, type(scheduler).__name__
    way = f"null takes the model's own, {layout.parts.get('scheduler')}"
    if ETA in spec.scheduler_options and ETA not in known:
        raise SpecError(
            f"images.scheduler_options: {kind.__name__} takes no eta ({spec.scheduler_options[ETA]}); leave it out"
        )
    source, dynamic = inspect.getsource(kind.__call__), bool(scheduler.config.get("use_dynamic_shifting"))
    shared = [call for call in STEP.findall(source) if "generator" not in call and "extra_step_kwargs" not in call]
    told = {"original_inference_steps"} & known.keys()  # by consistency models, whose call hands its step no eta either
    fits = not told or ETA not in inspect.signature(scheduler.step).parameters
    told |= {"mu"} if dynamic and shared else set()
    told |= {"sigmas"} if "sigmas = np.linspace(" in source and not scheduler.config.get("use_flow_sigmas") else set()
    if not fits or told - inspect.signature(scheduler.set_timesteps).parameters.keys():
        raise SpecError(f"images.scheduler: {kind.__name__} cannot draw with {name}; {way}")
    if shared and _draws_noise(scheduler, spec.steps, dynamic):
        asked = {key: value for key, value in spec.scheduler_options.items() if key != ETA}
        raise SpecError(
            f"images.scheduler: {name} with {asked} draws noise in each step, which {kind.__name__} does not let it take "
            f"from the picture's own seed; use one that draws none: {way}"
        )


def _draws_noise(scheduler: Any, steps: int, dynamic: bool) -> bool:
    """Whether a step takes noise from the generator that all pictures share; asked of it by letting it take one."""
    scheduler.set_timesteps(steps, **({"mu": 1.0} if dynamic else {}))
    with torch.random.fork_rng(devices=[]):
        before, sample = torch.get_rng_state(), torch.zeros(1, 4, 8, 8)
        scheduler.step(sample, scheduler.timesteps[0], sample)
        return not torch.equal(before, torch.get_rng_state())


def _require_same_kind(layout: Layout, own: str, config: dict[str, Any], name: str, scheduler: Any) -> None:
    """A model that predicts a flow and a scheduler that expects noise make grey mud together, and the other way round."""
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
