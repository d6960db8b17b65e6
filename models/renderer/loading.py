"""Load a diffusers pipeline, and check beforehand that the images stage's spec fits the model."""

import importlib
import inspect
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import diffusers
import torch
from diffusers.models.attention_dispatch import AttentionBackendName, _check_attention_backend_requirements

from data_specs.errors import EngineError, SpecError, in_one_line
from data_specs.image_group import Lora
from data_specs.specs.images import ImagesSpec
from models.memory import is_out_of_memory
from models.renderer.layout import INDEX, SETTING, UNUSED, Layout
from models.renderer.prompts import ENCODED
from models.renderer.scheduling import build_scheduler, require_called_right
from models.weights import passes

CALLED_WITH = frozenset(
    {"prompt", "generator", "num_inference_steps", "guidance_scale", "width", "height", "output_type"}
)
"""Arguments of every call. A pipeline whose call lacks one of these is of another kind."""
LIBRARIES = ("diffusers", "transformers")
"""Which of a pipeline's parts come from where; safety checkers, which come from its own module, are not loaded."""
WITHOUT = {**UNUSED, "requires_safety_checker": False, "add_watermarker": False}
"""Nothing may change rendered pixels: a blackened or marked image would be a positive like any other."""


def require_fitting(layout: Layout, spec: ImagesSpec) -> None:
    """All checks that need no weights. Raises SpecError, which names setting, value and way out."""
    kind = pipeline_class(layout)
    _require_named(kind, layout, spec)
    config = layout.config_of(f"{layout.unit}/config.json")
    require_called_right(kind, layout, build_scheduler(layout, spec), spec)
    device = device_of(spec)
    known = inspect.signature(kind.__call__).parameters
    if layout.unit == "unet" and config.get("in_channels") != config.get("out_channels"):
        raise SpecError(f"{SETTING}: {spec.model!r} wants an image beside the text; name a text-to-image model")
    if spec.negative_prompt and (takes_guidance(config) or "negative_prompt" not in known):
        raise SpecError(f"images.negative_prompt: {layout.pipeline} {spec.model!r} reads none; leave it empty")
    if spec.text_tokens and "max_sequence_length" not in known:
        raise SpecError(
            f"images.text_tokens: {layout.pipeline} reads what its text encoder was made for; leave it empty"
        )
    if spec.channels_last and layout.unit != "unet":
        raise SpecError(f"images.channels_last: of use to U-Nets alone; {layout.pipeline} has none: turn it off")
    if spec.loras and not hasattr(kind, "load_lora_weights"):
        raise SpecError(f"images.loras: {layout.pipeline} takes none; leave them out")
    _require_attention(layout, spec)
    if spec.compile and device == "cpu" and not shutil.which(os.environ.get("CXX", "g++")):
        raise SpecError("images.compile: there is no C++ compiler (g++) here; install one, or turn compile off")
    multiple = _multiple(layout, config)
    if spec.size and spec.size % multiple:
        raise SpecError(
            f"images.size: {layout.pipeline} {spec.model!r} renders multiples of {multiple}, not {spec.size}; "
            f"use {max(multiple, spec.size // multiple * multiple)}"
        )


def _require_named(kind: Any, layout: Layout, spec: ImagesSpec) -> None:
    """Whether the model's index names what the pipeline is made of, in a way that diffusers can read."""
    index, optional = layout.config_of(INDEX), set(kind._optional_components)
    known = inspect.signature(kind.__init__).parameters
    parts = {name for name, one in known.items() if one.default is one.empty or name in optional} - {"self"}
    for name in sorted(parts & index.keys()):
        if not (isinstance(index[name], list) and len(index[name]) == 2):
            raise SpecError(
                f"{SETTING}: {INDEX} of {spec.model!r} says {json.dumps(index[name])} for {name!r}, which diffusers cannot read; "
                "write [null, null] for a part that is left out"
            )
        library, part = index[name]
        if library in LIBRARIES and name not in UNUSED and part and part not in _names(library):
            known_by = f"{library} {importlib.import_module(library).__version__}"
            raise SpecError(
                f"{SETTING}: {INDEX} of {spec.model!r} names {part} for {name!r}, which {known_by} does not have: install "
                "the version that it was made with, or name another model"
            )
    if absent := sorted(parts - layout.parts.keys() - UNUSED.keys() - optional):
        raise SpecError(f"{SETTING}: {INDEX} of {spec.model!r} leaves out {absent[0]!r}, which {layout.pipeline} needs")


@cache
def _names(library: str) -> frozenset[str]:
    """Without loading them: both libraries list their classes, and import each where it is first used. A quarter of a second."""
    return frozenset(dir(importlib.import_module(library)))


def pipeline_class(layout: Layout) -> Any:
    """The class that renders from text alone with these weights. Raises SpecError if there is none."""
    if layout.pipeline in ENCODED:  # the lookup below takes eight seconds
        return getattr(diffusers, layout.pipeline)
    from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING, _get_task_class

    try:
        kind = _get_task_class(AUTO_TEXT2IMAGE_PIPELINES_MAPPING, layout.pipeline)
    except ValueError as error:
        raise SpecError(
            f"{SETTING}: {layout.pipeline} is no text-to-image pipeline of diffusers {diffusers.__version__}; "
            "name a model that is"
        ) from error
    if lacking := CALLED_WITH - set(inspect.signature(kind.__call__).parameters):
        raise SpecError(
            f"{SETTING}: the call of {layout.pipeline} takes no {', '.join(sorted(lacking))}; name another model"
        )
    return kind


def takes_guidance(unit: Mapping[str, Any]) -> bool:
    """Whether the model is guidance-distilled: guidance is a number that it takes, in one pass and without a negative prompt."""
    return bool(unit.get("guidance_embeds")) or unit.get("time_cond_proj_dim") is not None


def device_of(spec: ImagesSpec) -> str:
    """The device that `images.device` means here. Raises SpecError for one that does not exist."""
    here = {name: _count(name) for name in ("cuda", "mps", "xpu")}
    if spec.device == "auto":
        found = next((name for name, count in here.items() if count), "cpu")
    else:
        found = spec.device
        name, _, number = found.partition(":")
        if name != "cpu" and int(number or 0) >= here[name]:
            raise SpecError(f"images.device: {found} is not here ({here[name]} of {name}); use auto or cpu")
    if spec.offload and found == "cpu":
        raise SpecError("images.offload: there is no GPU to be spared here; turn it off")
    return found


def load_pipeline(model: str, layout: Layout, loras: Sequence[tuple[str, Lora]], spec: ImagesSpec) -> Any:
    """Loads the weights. `loras` are pairs of the path or hub id to load from and the record. Raises SpecError."""
    kind = pipeline_class(layout)
    takes = inspect.signature(kind.__init__).parameters
    try:
        pipeline = kind.from_pretrained(
            model,
            revision=spec.revision,
            variant=layout.variant,
            dtype=getattr(torch, spec.dtype),
            use_safetensors=True,
            **{name: value for name, value in WITHOUT.items() if name in takes},
        )
    except (OSError, ValueError, ImportError, TypeError, AttributeError, LookupError) as error:
        if is_out_of_memory(error):
            raise
        if passes(error):
            raise EngineError(f"{SETTING}: {model!r} did not load: {in_one_line(error, 200)}") from error
        raise SpecError(f"{SETTING}: cannot load {model!r}: {in_one_line(error, 200)}") from error
    pipeline.scheduler = build_scheduler(layout, spec)
    pipeline.set_progress_bar_config(disable=True)
    _add(pipeline, loras)
    unit = getattr(pipeline, layout.unit)
    if spec.channels_last:
        unit.to(memory_format=torch.channels_last)
        pipeline.vae.to(memory_format=torch.channels_last)
    for wanted, enable in ((spec.vae_slicing, "enable_slicing"), (spec.vae_tiling, "enable_tiling")):
        if wanted:
            try:
                getattr(pipeline.vae, enable)()
            except (AttributeError, NotImplementedError) as error:
                raise SpecError(
                    f"images.vae_{enable[7:]}: {type(pipeline.vae).__name__} cannot; turn it off"
                ) from error
    _attend(pipeline, unit, spec.attention)
    device = device_of(spec)
    if spec.offload:
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.to(device)
    return pipeline


def _add(pipeline: Any, loras: Sequence[tuple[str, Lora]]) -> None:
    """Fuse the LoRAs into the weights, so that rendering costs no more than without them."""
    names = []
    for number, (model, lora) in enumerate(loras):
        names.append(f"lora_{number}")
        hub = {} if lora.model.revision.startswith("sha256:") else {"revision": lora.model.revision}
        try:
            pipeline.load_lora_weights(
                model, weight_name=lora.file, adapter_name=names[-1], use_safetensors=True, **hub
            )
            taken = {name for held in pipeline.get_list_adapters().values() for name in held}
        except (OSError, ValueError, RuntimeError, KeyError, IndexError) as error:
            if is_out_of_memory(error):
                raise
            if passes(error):
                raise EngineError(f"images.loras: {model!r} did not load: {in_one_line(error, 200)}") from error
            raise SpecError(
                f"images.loras: {lora.file} of {model!r} does not fit the model: {in_one_line(error, 200)}"
            ) from error
        if names[-1] not in taken:  # diffusers only warns
            raise SpecError(f"images.loras: {lora.file} of {model!r} holds nothing for the model; name another file")
    if names:
        pipeline.set_adapters(names, [lora.scale for _, lora in loras])
        pipeline.fuse_lora(adapter_names=names)
        pipeline.unload_lora_weights()


def _require_attention(layout: Layout, spec: ImagesSpec) -> None:
    name = spec.attention
    if name is None:
        return
    known = (
        ("native", "sliced", "xformers")
        if layout.unit == "unet"
        else tuple(each.value for each in AttentionBackendName)
    )
    if name not in known:
        raise SpecError(f"images.attention: {layout.pipeline} has no {name!r}; it has {', '.join(known)}, or null")
    try:
        if layout.unit == "transformer":
            _check_attention_backend_requirements(AttentionBackendName(name))
        elif name == "xformers":
            importlib.import_module("xformers.ops")
    except (RuntimeError, ImportError) as error:
        raise SpecError(f"images.attention: {name} cannot work here: {error}; install it, or use null") from error


def _attend(pipeline: Any, unit: Any, name: str | None) -> None:
    if name == "sliced":
        pipeline.enable_attention_slicing()
    elif name == "xformers" and hasattr(pipeline, "unet"):
        pipeline.enable_xformers_memory_efficient_attention()
    elif name and not hasattr(pipeline, "unet"):
        if not any(hasattr(getattr(part, "processor", None), "_attention_backend") for part in unit.modules()):
            raise SpecError(f"images.attention: {type(unit).__name__} has one way of attending; use null, not {name!r}")
        unit.set_attention_backend(name)


def _multiple(layout: Layout, unit: Mapping[str, Any]) -> int:
    """The divisor of an image's side: a whole number of latents, and of the transformer's patches of them."""
    if "vae" not in layout.parts:
        return 8
    blocks = layout.config_of("vae/config.json").get("block_out_channels")
    factor = 2 ** (len(blocks) - 1) if isinstance(blocks, list) else 8
    patch = 2 if layout.pipeline == "FluxPipeline" else int(unit.get("patch_size") or 1)
    return factor * (patch if layout.unit == "transformer" else 1)


def _count(name: str) -> int:
    if name == "mps":
        return int(torch.backends.mps.is_available())
    return int(getattr(torch, name).device_count()) if getattr(torch, name).is_available() else 0
