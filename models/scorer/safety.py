"""Score images by the weights of a Stable Diffusion safety checker, without changing them.

Embeddings of images are compared with those of 17 concepts, each with a threshold of its own; three more concepts, of
special care, make every threshold 0.01 stricter (Rombach et al.; the class' own forward pass then blackens the image).
"""

from collections.abc import Sequence
from typing import Any

from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from torch import Tensor

from data_specs.model_identity import ModelIdentity
from models.renderer.protocol import Pixels
from models.scorer.batched_embedding import failures_of, image_embeddings, normalized
from models.scorer.clip import load_whole, preparation_of

STRICTER = 0.01


class SafetyChecker:
    """`parts` are the subfolders of the checker and of its preprocessor_config.json, if both lie in a pipeline's folder."""

    def __init__(
        self, model: str, identity: ModelIdentity, revision: str | None, device: str, parts: tuple[str, str] = ("", "")
    ) -> None:
        """Raises SpecError for a model that is no such checker."""
        setting, (checker, processor) = "images.safety.model", parts
        self.identity = identity
        self._device = device
        self._model: Any = load_whole(
            StableDiffusionSafetyChecker, model, setting, revision=revision, subfolder=checker
        )
        self._model = self._model.to(device)
        side = self._model.config.vision_config.image_size
        self._preparation = preparation_of(model, side, setting, revision=revision, subfolder=processor)

    def check(self, images: Sequence[Pixels]) -> list[float]:
        if not images:
            return []
        with failures_of(self.identity):
            embeddings_ND = image_embeddings(images, self._preparation, self._embed, self._device)
        of = {name: tensor.float().cpu() for name, tensor in self._model.named_parameters(recurse=False)}
        care_NC = embeddings_ND @ normalized(of["special_care_embeds"]).T - of["special_care_embeds_weights"]
        beyond_NC = embeddings_ND @ normalized(of["concept_embeds"]).T - of["concept_embeds_weights"]
        found: list[float] = (beyond_NC.amax(1) + STRICTER * (care_NC > 0).any(1)).tolist()
        return found

    def _embed(self, pixels_B3RR: Tensor) -> Tensor:
        found: Tensor = self._model.visual_projection(self._model.vision_model(pixels_B3RR)[1])
        return found
