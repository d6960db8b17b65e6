"""Render with any text-to-image pipeline that diffusers loads."""

import inspect
import logging
from collections.abc import Sequence
from typing import Any

import torch

from data_specs.errors import EngineError, SpecError
from data_specs.image_group import Lora, Rendering
from data_specs.model_identity import ModelIdentity
from data_specs.specs.images import ImagesSpec
from models.renderer.batch_size import batch_for_cpu, fitting_batch
from models.renderer.batches import FittingBatches
from models.renderer.layout import read_layout
from models.renderer.loading import load_pipeline, require_fitting, takes_guidance
from models.renderer.prompts import Prompts
from models.renderer.protocol import Pixels, RenderRequest
from models.renderer.scheduling import ETA

NO_LIMIT = 1_000_000
"""A tokenizer without a limit reports a larger number."""
PROBED_STEPS = 2
"""Enough to measure memory, which does not depend on the number of steps."""
logger = logging.getLogger("synclr")


class DiffusionRenderer:
    """A pipeline with the spec's scheduler; one generator per image, so its start noise follows from its seed alone."""

    def __init__(
        self, model: str, identity: ModelIdentity, spec: ImagesSpec, loras: Sequence[tuple[str, Lora]] = ()
    ) -> None:
        self._spec = spec
        layout = read_layout(model, spec.revision)
        require_fitting(layout, spec)
        self._pipeline = load_pipeline(model, layout, loras, spec)
        unit = getattr(self._pipeline, layout.unit)
        # A guidance-distilled model takes guidance as a number, and has no use for a negative prompt.
        distilled = takes_guidance(unit.config)
        self._known = inspect.signature(self._pipeline.__call__).parameters
        self._most_tokens = spec.text_tokens or self._default("max_sequence_length")
        side = self._side(unit)
        self.rendering = Rendering(
            model=identity,
            scheduler=type(self._pipeline.scheduler).__name__,
            steps=spec.steps,
            guidance_scale=spec.guidance_scale,
            negative_prompt=spec.negative_prompt,
            width=side,
            height=side,
            dtype=spec.dtype,
            text_tokens=self._text_tokens(),
            loras=tuple(lora for _, lora in loras),
        )
        self._prompts = Prompts(self._pipeline, spec, guided=spec.guidance_scale > 1 and not distilled)
        self._always = self._fixed_arguments(distilled)
        self._batches = FittingBatches(spec.batch_size or self._fitting())
        if spec.compile:  # after the search, so that only the final batch size is compiled
            unit.compile(dynamic=False)

    @property
    def batch_size(self) -> int:
        return self._batches.size

    def render(self, requests: Sequence[RenderRequest]) -> list[Pixels]:
        """Raises EngineError if the backend fails, or memory does not hold one image."""
        try:
            return self._batches.run(requests, self._batch)
        except EngineError as error:
            raise EngineError(f"{self.rendering.model.id}: {error}") from error

    @torch.inference_mode()
    def _batch(self, requests: Sequence[RenderRequest], size: int) -> list[Pixels]:
        padded = [*requests, *[requests[-1]] * (size - len(requests))]
        return self._call(padded, self._spec.steps)[: len(requests)]

    @torch.inference_mode()
    def _call(self, requests: Sequence[RenderRequest], steps: int) -> list[Pixels]:
        images = self._pipeline(
            **self._prompts.arguments([request.text for request in requests]),
            **self._always,
            # Noise is drawn on the CPU whatever the device, so that a seed means the same image's start everywhere.
            generator=[torch.Generator("cpu").manual_seed(request.seed) for request in requests],
            num_inference_steps=steps,
        ).images
        side = self.rendering.width
        if images[0].shape != (side, side, 3):
            raise SpecError(
                f"images.size: {self.rendering.model.id} renders {images[0].shape}, not {side} x {side} RGB"
            )
        return [image.astype("float32") for image in images]

    def _fixed_arguments(self, distilled: bool) -> dict[str, Any]:
        """The arguments of every call. Pipelines that round the size or clean captions by default are told not to."""
        side = self.rendering.width
        fixed: dict[str, Any] = {"width": side, "height": side, "output_type": "np"}
        true_cfg = "true_cfg_scale" in self._known and not distilled
        fixed["true_cfg_scale" if true_cfg else "guidance_scale"] = self._spec.guidance_scale
        fixed |= {ETA: self._spec.scheduler_options[ETA]} if ETA in self._spec.scheduler_options else {}
        plain = {name: False for name in ("use_resolution_binning", "clean_caption") if name in self._known}
        return fixed | plain

    def _default(self, name: str) -> int | None:
        return self._known[name].default if name in self._known else None

    def _side(self, unit: Any) -> int:
        latents = getattr(self._pipeline, "default_sample_size", None) or getattr(unit.config, "sample_size", None)
        if self._spec.size or isinstance(latents, int):
            return self._spec.size or int(latents * self._pipeline.vae_scale_factor)
        raise SpecError(
            f"images.size: {type(self._pipeline).__name__} does not say how large its images are; set images.size"
        )

    def _fitting(self) -> int:
        device = self._pipeline._execution_device
        if device.type != "cuda":
            return batch_for_cpu(self.rendering.width)

        def peak(count: int) -> int:
            torch.cuda.reset_peak_memory_stats(device)
            self._call([RenderRequest("a photo", seed) for seed in range(count)], min(PROBED_STEPS, self._spec.steps))
            return torch.cuda.max_memory_allocated(device)

        size = fitting_batch(peak, torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device))
        logger.warning("images.batch_size: %d images in one call, found by the memory that few took", size)
        return size

    def truncated_tokens(self, texts: Sequence[str]) -> list[int]:
        """Where a pipeline has several text encoders, a token is read if one of them reads it."""
        if not texts or self.rendering.text_tokens is None:
            return [0] * len(texts)
        read = [(_lengths(tokenizer, texts), self._limit(tokenizer)) for tokenizer in self._tokenizers()]
        return [min(max(0, lengths[row] - most) for lengths, most in read) for row in range(len(texts))]

    def _tokenizers(self) -> list[Any]:
        """Those whose text encoder is present: SD 3 is also published without its largest."""
        parts = self._pipeline
        there = [name for name in ("", "_2", "_3") if getattr(parts, f"text_encoder{name}", None) is not None]
        found = (getattr(parts, f"tokenizer{name}", None) for name in there)
        return [part for part in found if part is not None]

    def _limit(self, tokenizer: Any) -> int:
        return min(int(tokenizer.model_max_length), self._most_tokens or NO_LIMIT)

    def _text_tokens(self) -> int | None:
        """The limit of the text encoder that reads most; None if there is no limit."""
        most = max((self._limit(tokenizer) for tokenizer in self._tokenizers()), default=NO_LIMIT)
        return most if most < NO_LIMIT else None


def _lengths(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    return [len(ids) for ids in tokenizer(list(texts), verbose=False).input_ids]
