"""Score images by the cosine of their embedding with that of their text."""

from collections.abc import Callable, Sequence

from torch import Tensor

from data_specs.model_identity import ModelIdentity
from models.renderer.protocol import Pixels
from models.scorer.batched_embedding import Preparation, failures_of, image_embeddings, text_embeddings


class TwoTowers:
    """Any CLIP-like model: `embed_images` takes prepared pixels [B, 3, R, R]; both functions return [B, D], not normalised."""

    def __init__(
        self,
        identity: ModelIdentity,
        preparation: Preparation,
        embed_images: Callable[[Tensor], Tensor],
        embed_texts: Callable[[list[str]], Tensor],
        device: str,
    ) -> None:
        self.identity = identity
        self._images = preparation, embed_images, device
        self._embed_texts = embed_texts

    def score(self, images: Sequence[Pixels], texts: Sequence[str]) -> list[float]:
        if not images:
            return []
        with failures_of(self.identity):
            images_ND, texts_ND = image_embeddings(images, *self._images), text_embeddings(texts, self._embed_texts)
        found: list[float] = (images_ND * texts_ND).sum(1).clamp(-1, 1).tolist()
        return found
