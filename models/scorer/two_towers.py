"""What embeds pictures and what embeds texts into one space enter; a scorer by the cosine of both leaves."""

from collections.abc import Callable, Sequence

from torch import Tensor

from data_specs.model_identity import ModelIdentity
from models.renderer.protocol import Pixels
from models.scorer.batched_embedding import Preparation, failures_of, look, read


class TwoTowers:
    """Every CLIP-like model is one: `embed_pictures` takes prepared pixels [B, 3, R, R], both give [B, D] of any length."""

    def __init__(
        self,
        identity: ModelIdentity,
        preparation: Preparation,
        embed_pictures: Callable[[Tensor], Tensor],
        embed_texts: Callable[[list[str]], Tensor],
        device: str,
    ) -> None:
        self.identity = identity
        self._look = preparation, embed_pictures, device
        self._embed_texts = embed_texts

    def score(self, pictures: Sequence[Pixels], texts: Sequence[str]) -> list[float]:
        if not pictures:
            return []
        with failures_of(self.identity):
            cosines_N = (look(pictures, *self._look) * read(texts, self._embed_texts)).sum(1)
        found: list[float] = cosines_N.clamp(-1, 1).tolist()
        return found
