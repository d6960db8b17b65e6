"""Score images by a Hugging Face CLIP, from a local folder or a pinned hub revision."""

from typing import Any

from torch import Tensor
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

from data_specs.errors import SpecError
from data_specs.model_identity import ModelIdentity
from models.memory import is_out_of_memory
from models.scorer.batched_embedding import Preparation
from models.scorer.two_towers import TwoTowers


def clip_scorer(model: str, identity: ModelIdentity, revision: str | None, device: str) -> TwoTowers:
    """Raises SpecError for a model that is no CLIP, or lacks a part of one."""
    clip: Any = load_whole(CLIPModel, model, "images.scorer.model", revision=revision).to(device)
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, revision=revision)
    except (OSError, ValueError) as error:
        raise SpecError(f"images.scorer.model: {model!r} has no tokenizer: {str(error).splitlines()[0]}") from error
    preparation = preparation_of(model, clip.config.vision_config.image_size, "images.scorer.model", revision=revision)
    longest = clip.config.text_config.max_position_embeddings

    def embed_texts(texts: list[str]) -> Tensor:
        tokens = tokenizer(texts, padding="max_length", truncation=True, max_length=longest, return_tensors="pt")
        found: Tensor = clip.get_text_features(**tokens.to(device)).pooler_output
        return found

    def embed_images(pixels_B3RR: Tensor) -> Tensor:
        found: Tensor = clip.get_image_features(pixels_B3RR).pooler_output
        return found

    return TwoTowers(identity, preparation, embed_images, embed_texts, device)


def load_whole(kind: Any, model: str, setting: str, **where: Any) -> Any:
    """A model in evaluation mode. Raises SpecError if weights are missing, which would be random."""
    try:
        loaded, info = kind.from_pretrained(model, use_safetensors=True, output_loading_info=True, **where)
    except (OSError, ValueError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise SpecError(f"{setting}: cannot load {model!r}: {str(error).splitlines()[0]}") from error
    if lost := sorted(info["missing_keys"]) or sorted(info["mismatched_keys"]):
        raise SpecError(
            f"{setting}: {model!r} is no {kind.__name__}: it lacks {len(lost)} of its weights, such as {lost[0]}"
        )
    return loaded.eval().requires_grad_(False)


def preparation_of(model: str, side: int, setting: str, **where: Any) -> Preparation:
    """Read from preprocessor_config.json. Raises SpecError if there is none."""
    try:
        processor = AutoImageProcessor.from_pretrained(model, **where)
    except (OSError, ValueError) as error:
        raise SpecError(
            f"{setting}: {model!r} has no preprocessor_config.json: {str(error).splitlines()[0]}"
        ) from error
    return Preparation(side, tuple(processor.image_mean), tuple(processor.image_std))
