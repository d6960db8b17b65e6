"""Any text-to-image pipeline that diffusers loads: texts and seeds enter, pixels leave."""

import inspect
import logging
from collections.abc import Sequence
from typing import Any

import torch

from data_specs.errors import EngineError, SpecError
from data_specs.image_group import Lora, Rendering
from data_specs.model_identity import ModelIdentity
from data_specs.run import ImagesSpec
from models.renderer.batch_size import batch_for_cpu, fitting_batch
from models.renderer.batches import Batches
from models.renderer.layout import look
from models.renderer.loading import load_pipeline, require_fitting, takes_guidance
from models.renderer.prompts import Prompts
from models.renderer.protocol import Drawing, Pixels
from models.renderer.scheduling import ETA

NO_LIMIT = 1_000_000
"""A tokenizer that knows no limit says a larger number."""
PROBED_STEPS = 2
"""Memory is taken by a step, not by their number."""
logger = logging.getLogger("synclr")


class DiffusionRenderer:
    """A pipeline with the spec's scheduler; one generator per picture, so its start noise follows from its seed alone."""

    def __init__(
        self, model: str, identity: ModelIdentity, spec: ImagesSpec, loras: Sequence[tuple[str, Lora]] = ()
    ) -> None:
        self._spec = spec
        layout = look(model, spec.revision)
        require_fitting(layout, spec)
        self._pipeline = load_pipeline(model, layout, loras, spec)
        unit = getattr(self._pipeline, layout.unit)
        # A distilled model takes guidance as a number; what CFG would lead away from is nothing to it.
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
        self._always = self._told(distilled)
        self._batches = Batches(spec.batch_size or self._fitting())
        if spec.compile:  # after the search, so that only the batch that is drawn with is compiled
            unit.compile(dynamic=False)

    @property
    def batch_size(self) -> int:
        return self._batches.size

    def render(self, drawings: Sequence[Drawing]) -> list[Pixels]:
        """Raises EngineError if the backend fails, or memory does not hold one picture."""
        try:
            return self._batches.draw(drawings, self._batch)
        except EngineError as error:
            raise EngineError(f"{self.rendering.model.id}: {error}") from error

    @torch.inference_mode()
    def _batch(self, drawings: Sequence[Drawing], size: int) -> list[Pixels]:
        return self._draw([*drawings, *[drawings[-1]] * (size - len(drawings))], self._spec.steps)[: len(drawings)]

    @torch.inference_mode()
    def _draw(self, drawings: Sequence[Drawing], steps: int) -> list[Pixels]:
        images = self._pipeline(
            **self._prompts.arguments([drawing.text for drawing in drawings]),
            **self._always,
            # Noise is drawn on the CPU whatever the device, so that a seed means the same picture's start everywhere.
            generator=[torch.Generator("cpu").manual_seed(drawing.seed) for drawing in drawings],
            num_inference_steps=steps,
        ).images
        side = self.rendering.width
        if images[0].shape != (side, side, 3):
            raise SpecError(f"images.size: {self.rendering.model.id} draws {images[0].shape}, not {side} x {side} RGB")
        return [image.astype("float32") for image in images]

    def _told(self, distilled: bool) -> dict[str, Any]:
        """What every call is told. The size is meant as it is said, and captions are clean: the captions room saw to it."""
        side = self.rendering.width
        told: dict[str, Any] = {"width": side, "height": side, "output_type": "np"}
        true_cfg = "true_cfg_scale" in self._known and not distilled
        told["true_cfg_scale" if true_cfg else "guidance_scale"] = self._spec.guidance_scale
        told |= {ETA: self._spec.scheduler_options[ETA]} if ETA in self._spec.scheduler_options else {}
        plain = {name: False for name in ("use_resolution_binning", "clean_caption") if name in self._known}
        return told | plain

    def _default(self, name: str) -> int | None:
        return self._known[name].default if name in self._known else None

    def _side(self, unit: Any) -> int:
        latents = getattr(self._pipeline, "default_sample_size", None) or getattr(unit.config, "sample_size", None)
        if self._spec.size or isinstance(latents, int):
            return self._spec.size or int(latents * self._pipeline.vae_scale_factor)
        raise SpecError(f"images.size: {type(self._pipeline).__name__} does not say how large it draws; say it")

    def _fitting(self) -> int:
        device = self._pipeline._execution_device
        if device.type != "cuda":
            return batch_for_cpu(self.rendering.width)

        def peak(count: int) -> int:
            torch.cuda.reset_peak_memory_stats(device)
            self._draw([Drawing("a photo", seed) for seed in range(count)], min(PROBED_STEPS, self._spec.steps))
            return torch.cuda.max_memory_allocated(device)

        size = fitting_batch(peak, torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device))
        logger.warning("images.batch_size: %d pictures in one call, found by the memory that few took", size)
        return size

    def unseen(self, texts: Sequence[str]) -> list[int]:
        """Where a pipeline has several text encoders, a token is seen if one of them sees it."""
        if not texts or self.rendering.text_tokens is None:
            return [0] * len(texts)
        read = [(_lengths(tokenizer, texts), self._limit(tokenizer)) for tokenizer in self._tokenizers()]
        return [min(max(0, lengths[row] - most) for lengths, most in read) for row in range(len(texts))]

    def _tokenizers(self) -> list[Any]:
        """Those whose text encoder is there: SD 3 is also given out without its largest."""
        parts = self._pipeline
        there = [name for name in ("", "_2", "_3") if getattr(parts, f"text_encoder{name}", None) is not None]
        found = (getattr(parts, f"tokenizer{name}", None) for name in there)
        return [part for part in found if part is not None]

    def _limit(self, tokenizer: Any) -> int:
        return min(int(tokenizer.model_max_length), self._most_tokens or NO_LIMIT)

    def _text_tokens(self) -> int | None:
        """As many as its most patient text encoder reads."""
        most = max((self._limit(tokenizer) for tokenizer in self._tokenizers()), default=NO_LIMIT)
        return most if most < NO_LIMIT else None


def _lengths(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    return [len(ids) for ids in tokenizer(list(texts), verbose=False).input_ids]
