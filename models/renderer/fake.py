"""A renderer for unit tests: pixels that encode text and seed, made without a model."""

import hashlib
from collections.abc import Sequence

import numpy as np

from data_specs.image_group import Rendering
from data_specs.model_identity import ModelIdentity
from models.renderer.protocol import Pixels, RenderRequest

IDENTITY = ModelIdentity("fake", "0")
TEXT_TOKENS = 32


class FakeRenderer:
    """Its tokens are words."""

    batch_size = 32

    def __init__(self, size: int = 16) -> None:
        self.rendering = Rendering(IDENTITY, "none", 1, 1.0, "", size, size, "float32", TEXT_TOKENS)

    def render(self, requests: Sequence[RenderRequest]) -> list[Pixels]:
        return [self._image(request) for request in requests]

    def truncated_tokens(self, texts: Sequence[str]) -> list[int]:
        return [max(0, len(text.split()) - TEXT_TOKENS) for text in texts]

    def _image(self, request: RenderRequest) -> Pixels:
        key = hashlib.sha256(f"{request.text}\x1f{request.seed}".encode()).digest()
        shape = (self.rendering.height, self.rendering.width, 3)
        return np.random.default_rng(list(key)).random(shape, dtype=np.float32)
