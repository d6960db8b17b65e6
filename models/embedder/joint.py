"""An embedder of images and sentences in one space, by a trained backbone and its text tower."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from models.embedder.vit import VitEmbedder
from models.encoder.exported import JointSpace
from models.encoder.vit import VisionTransformer

BATCH = 256


class JointVitEmbedder:
    """Images are embedded by their class token, as the text tower was trained with it, whatever pooling other probes use."""

    def __init__(self, backbone: VisionTransformer, space: JointSpace) -> None:
        self._images, self._space = VitEmbedder(backbone, "cls"), space

    def embed(self, pixels_NSS3: NDArray[np.uint8]) -> NDArray[np.float32]:
        return F.linear(torch.from_numpy(self._images.embed(pixels_NSS3)), self._space.projection_JD).numpy()

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        reader, tower = self._space.reader, self._space.tower
        parts = []
        for start in range(0, len(texts), BATCH):
            batch = list(texts[start : start + BATCH])
            # Always full batches, as for images: products of another shape may round differently.
            tokens_BL = reader.tokens(batch + [""] * (BATCH - len(batch)))
            parts.append(tower(tokens_BL, reader.end)[: len(batch)])
        return torch.cat(parts).float().numpy()
