"""Turn texts into arguments of a pipeline's call: embeddings where it takes them, each caption encoded once."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch

from data_specs.specs.images import ImagesSpec

NEGATIVE = "negative_"
POOLED = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
MASKED = ("prompt_embeds", "prompt_attention_mask", "negative_prompt_embeds", "negative_prompt_attention_mask")
ENCODED = {
    "StableDiffusionPipeline": POOLED[:2],
    "LatentConsistencyModelPipeline": POOLED[:2],
    "StableDiffusionXLPipeline": POOLED,
    "StableDiffusion3Pipeline": POOLED,
    "FluxPipeline": ("prompt_embeds", "pooled_prompt_embeds"),
    "PixArtAlphaPipeline": MASKED,
    "PixArtSigmaPipeline": MASKED,
}
"""The names under which a pipeline's call takes what its `encode_prompt` returns. Other pipelines are given the text."""


class Prompts:
    """Each caption is encoded alone, so that its embedding depends on its text and not on its neighbours in a batch."""

    def __init__(self, pipeline: Any, spec: ImagesSpec, *, guided: bool) -> None:
        """`guided`: the pipeline steers away from the negative prompt, which is encoded here, once a run."""
        self._pipeline, self._spec, self._guided = pipeline, spec, guided
        self._names = ENCODED.get(type(pipeline).__name__)
        self._kept: dict[str, dict[str, torch.Tensor]] = {}
        self._negative = self._encode_negative() if guided and self._names else {}

    def arguments(self, texts: Sequence[str]) -> dict[str, Any]:
        """A batch's keyword arguments for the pipeline's call."""
        if self._names is None:
            return self._as_text(texts)
        # Kept for the next batch, where more images of the last caption may lie.
        self._kept = {text: self._kept.get(text) or self._encode(text) for text in dict.fromkeys(texts)}
        each = [self._kept[text] for text in texts]
        arguments: dict[str, Any] = {name: torch.cat([encoded[name] for encoded in each]) for name in each[0]}
        if self._negative:  # PixArt's default is an empty text, which it does not take beside an embedding
            arguments["negative_prompt"] = None
        return arguments | {
            name: value.repeat(len(texts), *[1] * (value.dim() - 1)) for name, value in self._negative.items()
        }

    def _as_text(self, texts: Sequence[str]) -> dict[str, Any]:
        known = inspect.signature(self._pipeline.__call__).parameters
        arguments: dict[str, Any] = {"prompt": list(texts)}
        if self._spec.text_tokens and "max_sequence_length" in known:
            arguments["max_sequence_length"] = self._spec.text_tokens
        if self._guided and (self._spec.negative_prompt or "true_cfg_scale" in known):
            # Pipelines with a true CFG skip it without a negative text; a blank counts as one.
            arguments["negative_prompt"] = [self._spec.negative_prompt or " "] * len(texts)
        return arguments

    def _encode(self, text: str) -> dict[str, torch.Tensor]:
        encoded = self._encoded(text, do_classifier_free_guidance=False)
        return {name: value for name, value in encoded.items() if not name.startswith(NEGATIVE)}

    def _encode_negative(self) -> dict[str, torch.Tensor]:
        """An empty one is left to the pipeline: SDXL was trained with zeros, not with the embedding of an empty text."""
        negative = {"negative_prompt": self._spec.negative_prompt} if self._spec.negative_prompt else {}
        encoded = self._encoded(self._spec.negative_prompt, do_classifier_free_guidance=True, **negative)
        own = {name: value for name, value in encoded.items() if name.startswith(NEGATIVE)}
        return own or {NEGATIVE + name: value for name, value in encoded.items()}

    @torch.inference_mode()
    def _encoded(self, text: str, **options: Any) -> dict[str, torch.Tensor]:
        known = inspect.signature(self._pipeline.encode_prompt).parameters
        offered = {
            "device": self._pipeline._execution_device,
            "num_images_per_prompt": 1,
            "prompt_2": None,
            "prompt_3": None,
        }
        offered |= {"max_sequence_length": self._spec.text_tokens} if self._spec.text_tokens else {}
        given = {name: value for name, value in (offered | options).items() if name in known}
        found = self._pipeline.encode_prompt(prompt=text, **given)
        return {name: value for name, value in zip(self._names or (), found, strict=False) if value is not None}
