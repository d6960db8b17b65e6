"""What the embeddings room needs from whatever turns pictures into features, and nothing more.

Legend: N pictures, S side in pixels, D feature width.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class Embedder(Protocol):
    def embed(self, pixels_NSS3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features [N, D]. The same pictures are the same features, however they are batched. Raises EngineError."""
        ...


@runtime_checkable
class JointEmbedder(Embedder, Protocol):
    """Also turns sentences into features of the same space."""

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Features [number of texts, D]."""
        ...
