"""Any text-to-image pipeline that diffusers loads: texts and seeds enter, pixels leave."""

from collections.abc import Sequence
from typing import Any

import diffusers
import torch
from diffusers import AutoPipelineForText2Image, StableDiffusionPipeline

from data_specs.errors import EngineError, SpecError
from data_specs.image_group import Rendering
from data_specs.model_identity import ModelIdentity
from data_specs.run import ImagesSpec
from models.renderer.batches import Batches
from models.renderer.protocol import Drawing, Pixels

NO_LIMIT = 1_000_000
"""A tokenizer that knows no limit says a larger number."""


class DiffusionRenderer:
    """A pipeline with the spec's scheduler; one generator per picture, so its start noise follows from its seed alone."""

    def __init__(self, model: str, identity: ModelIdentity, spec: ImagesSpec) -> None:
        self._spec = spec
        self._batches = Batches(spec.batch_size)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._pipeline = _load(model, spec).to(self._device)
        self._pipeline.set_progress_bar_config(disable=True)
        unit = self._pipeline.unet if hasattr(self._pipeline, "unet") else self._pipeline.transformer
        side = spec.size or int(unit.config.sample_size) * int(self._pipeline.vae_scale_factor)
        self.rendering = Rendering(
            model=identity,
            scheduler=spec.scheduler,
            steps=spec.steps,
            guidance_scale=spec.guidance_scale,
            negative_prompt=spec.negative_prompt,
            width=side,
            height=side,
            dtype=spec.dtype,
            text_tokens=self._text_tokens(),
        )
        # The unconditional prompt is the same for every picture of a run: encoded once, not once a batch.
        self._unconditional = self._encode([spec.negative_prompt]) if self._splits_text() else None

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
        count = len(drawings)
        full = [*drawings, *[drawings[-1]] * (size - count)]
        # Noise is drawn on the CPU whatever the device, so that a seed means the same picture's start everywhere.
        generators = [torch.Generator("cpu").manual_seed(drawing.seed) for drawing in full]
        images = self._pipeline(
            **self._prompts([drawing.text for drawing in full]),
            generator=generators,
            num_inference_steps=self._spec.steps,
            guidance_scale=self._spec.guidance_scale,
            width=self.rendering.width,
            height=self.rendering.height,
            output_type="np",
        ).images
        return [image.astype("float32") for image in images[:count]]

    def unseen(self, texts: Sequence[str]) -> list[int]:
        """Where a pipeline has several text encoders, a token is seen if one of them sees it."""
        if not texts or self.rendering.text_tokens is None:
            return [0] * len(texts)
        read = [(_lengths(tokenizer, texts), int(tokenizer.model_max_length)) for tokenizer in self._tokenizers()]
        return [min(max(0, lengths[row] - most) for lengths, most in read) for row in range(len(texts))]

    def _tokenizers(self) -> list[Any]:
        parts = (getattr(self._pipeline, name, None) for name in ("tokenizer", "tokenizer_2", "tokenizer_3"))
        return [part for part in parts if part is not None]

    def _text_tokens(self) -> int | None:
        """As many as its most patient text encoder reads."""
        most = max((int(tokenizer.model_max_length) for tokenizer in self._tokenizers()), default=NO_LIMIT)
        return most if most < NO_LIMIT else None

    def _splits_text(self) -> bool:
        return isinstance(self._pipeline, StableDiffusionPipeline)

    def _prompts(self, texts: list[str]) -> dict[str, Any]:
        """Stable Diffusion takes embeddings, so a caption is encoded once for all its pictures; others take the text."""
        if self._unconditional is None:
            return {"prompt": texts, "negative_prompt": [self._spec.negative_prompt] * len(texts)}
        distinct = list(dict.fromkeys(texts))
        encoded = dict(zip(distinct, self._encode(distinct), strict=True))
        return {
            "prompt_embeds": torch.stack([encoded[text] for text in texts]),
            "negative_prompt_embeds": self._unconditional.expand(len(texts), -1, -1),
        }

    @torch.inference_mode()
    def _encode(self, texts: list[str]) -> torch.Tensor:
        """Texts -> N x 77 x width. Beyond 77 tokens CLIP's text encoder sees nothing, as in Stable Diffusion 1.5."""
        embeds, _ = self._pipeline.encode_prompt(texts, self._device, 1, do_classifier_free_guidance=False)
        return embeds  # type: ignore[no-any-return]


def _lengths(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    return [len(ids) for ids in tokenizer(list(texts), verbose=False).input_ids]


def _load(model: str, spec: ImagesSpec) -> Any:
    scheduler = getattr(diffusers, spec.scheduler, None)
    if scheduler is None or not hasattr(scheduler, "from_config"):
        raise SpecError(f"images.scheduler: diffusers has no scheduler {spec.scheduler!r}")
    dtype = getattr(torch, spec.dtype)
    try:
        pipeline = AutoPipelineForText2Image.from_pretrained(
            model, revision=spec.revision, torch_dtype=dtype, use_safetensors=True, safety_checker=None
        )
    except (OSError, ValueError) as error:
        raise SpecError(f"images.model: cannot load {model!r}: {str(error).splitlines()[0]}") from error
    pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config, **spec.scheduler_options)
    return pipeline
