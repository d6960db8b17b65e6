"""What the embeddings stage needs from whatever turns images into features, and nothing more.

Legend: N images, S side in pixels, P patches, D feature width.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class Embedder(Protocol):
    def embed(self, pixels_NSS3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features [N, D]. The same images are the same features, however they are batched. Raises EngineError."""
        ...


@runtime_checkable
class JointEmbedder(Embedder, Protocol):
    """Also turns sentences into features of the same space."""

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Features [number of texts, D]."""
        ...


@runtime_checkable
class PatchEmbedder(Embedder, Protocol):
    """Also gives features of an image's patches."""

    def patches(self, pixels_NSS3: NDArray[np.uint8], enlarged: int) -> NDArray[np.float32]:
        """Patch features [N, P, D] of a few images, resampled to `enlarged` times the side that was trained at."""
        ...
