"""Embed images and texts in batches of one shape, so that a vector does not depend on its neighbours.

Legend: N images, S their side in pixels, B a batch, D width.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from data_specs.errors import EngineError
from data_specs.model_identity import ModelIdentity
from models.encoder.augment import to_unit
from models.memory import is_out_of_memory
from models.renderer.protocol import Pixels

BATCH = 8
"""Batches are padded to this size: small enough that it costs little where images are rendered one by one."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """A model's preprocessing: images are resampled (bicubic, antialiased) to `side`, and each colour is normalised."""

    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, pixels_B3SS: Tensor) -> Tensor:
        pixels = to_unit(pixels_B3SS)
        if pixels.shape[-1] != self.side:
            pixels = F.interpolate(pixels, size=(self.side, self.side), mode="bicubic", antialias=True).clamp(0.0, 1.0)
        mean, std = (pixels.new_tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return (pixels - mean) / std


@torch.inference_mode()
def image_embeddings(
    images: Sequence[Pixels], preparation: Preparation, embed_BD: Callable[[Tensor], Tensor], device: str
) -> Tensor:
    """Unit vectors [N, D] on the CPU, of the 8-bit values that a lossless file would hold."""
    found = []
    for start in range(0, len(images), BATCH):
        pixels_BSS3 = (np.nan_to_num(np.stack(images[start : start + BATCH])).clip(0, 1) * 255).round().astype(np.uint8)
        batch = torch.from_numpy(pixels_BSS3).permute(0, 3, 1, 2)
        # Always full batches: matrix products of another shape may round differently.
        full = F.pad(batch, (0, 0, 0, 0, 0, 0, 0, BATCH - len(batch)))
        found.append(normalized(embed_BD(preparation(full.to(device))))[: len(batch)].cpu())
    return torch.cat(found)


@torch.inference_mode()
def text_embeddings(texts: Sequence[str], embed_BD: Callable[[list[str]], Tensor]) -> Tensor:
    """Unit vectors [number of texts, D] on the CPU; equal texts are embedded once."""
    distinct, found = list(dict.fromkeys(texts)), []
    for start in range(0, len(distinct), BATCH):
        batch = distinct[start : start + BATCH]
        found.append(normalized(embed_BD([*batch, *[""] * (BATCH - len(batch))]))[: len(batch)].cpu())
    place = {text: row for row, text in enumerate(distinct)}
    return torch.cat(found)[[place[text] for text in texts]]


def normalized(vectors_BD: Tensor) -> Tensor:
    return F.normalize(vectors_BD.float(), dim=1)


@contextmanager
def failures_of(model: ModelIdentity) -> Iterator[None]:
    """Raises a backend's failure as an EngineError that names the model."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        way_out = "; use fewer engines at once (execution.workers)" if is_out_of_memory(error) else ""
        raise EngineError(f"{model.id} could not score images: {error}{way_out}") from error
