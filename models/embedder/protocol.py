"""What the embeddings room needs from whatever turns pictures into features, and nothing more.

Legend: N pictures, S side in pixels, D feature width.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Embedder(Protocol):
    def embed(self, pixels_NSS3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features [N, D]. The same pictures are the same features, however they are batched. Raises EngineError."""
        ...
