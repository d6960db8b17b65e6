"""An embedder by a ViT's final-norm tokens."""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from models.encoder.augment import normalise, to_unit
from models.encoder.vit import Tokens, VisionTransformer

Pooling = Literal["cls", "mean", "both"]
BATCH = 256


class VitEmbedder:
    """Images are resampled (bicubic, antialiased) to the size that the backbone was trained at, on the backbone's device."""

    def __init__(self, backbone: VisionTransformer, pooling: Pooling, blocks: int = 1) -> None:
        """Features of the last `blocks` blocks are concatenated."""
        self._backbone, self._pooling, self._blocks = backbone.eval(), pooling, blocks

    @torch.no_grad()
    def embed(self, pixels_NSS3: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts, device = [], next(self._backbone.parameters()).device
        pixels_N3SS = torch.from_numpy(pixels_NSS3).permute(0, 3, 1, 2)
        for start in range(0, len(pixels_N3SS), BATCH):
            batch = pixels_N3SS[start : start + BATCH]
            # Always full batches: matrix products of another shape may round differently.
            padded = F.pad(batch, (0, 0, 0, 0, 0, 0, 0, BATCH - len(batch)))
            prepared = self._prepare(padded.to(device), self._backbone.shape.image_size)
            found = [self._pool(tokens) for tokens in self._backbone.last_blocks(prepared, self._blocks)]
            parts.append(torch.cat(found, 1)[: len(batch)].cpu())
        return torch.cat(parts).float().numpy()

    @torch.no_grad()
    def patches(self, pixels_NSS3: NDArray[np.uint8], enlarged: int) -> NDArray[np.float32]:
        """Final-norm patch tokens [N, P, D] of a few images, resampled to `enlarged` times the side that was trained at."""
        pixels_N3SS = torch.from_numpy(pixels_NSS3).permute(0, 3, 1, 2).to(next(self._backbone.parameters()).device)
        prepared = self._prepare(pixels_N3SS, enlarged * self._backbone.shape.image_size)
        tokens: Tokens = self._backbone(prepared)
        return tokens.patches_NPD.cpu().float().numpy()

    def _prepare(self, pixels_N3SS: Tensor, size: int) -> Tensor:
        unit = to_unit(pixels_N3SS)
        if unit.shape[-1] != size:
            unit = F.interpolate(unit, size=(size, size), mode="bicubic", antialias=True).clamp(0.0, 1.0)
        return normalise(unit)

    def _pool(self, tokens: Tokens) -> Tensor:
        if self._pooling == "cls":
            return tokens.cls_ND
        mean_ND = tokens.patches_NPD.mean(1)
        return mean_ND if self._pooling == "mean" else torch.cat([tokens.cls_ND, mean_ND], 1)
