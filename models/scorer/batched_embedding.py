"""Float pictures enter, and what embeds prepared ones; unit vectors leave that depend on no neighbour in a batch.

Legend: N pictures, S their side in pixels, B a batch, D width.
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
"""Batches are filled up to it: few enough that this costs little where pictures are drawn one by one."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """How a model wants pictures: resampled (bicubic, antialiased) to `side`, each colour normalised."""

    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, pixels_B3SS: Tensor) -> Tensor:
        unit = to_unit(pixels_B3SS)
        if unit.shape[-1] != self.side:
            unit = F.interpolate(unit, size=(self.side, self.side), mode="bicubic", antialias=True).clamp(0.0, 1.0)
        mean, std = (unit.new_tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return (unit - mean) / std


@torch.inference_mode()
def look(
    pictures: Sequence[Pixels], preparation: Preparation, embed_BD: Callable[[Tensor], Tensor], device: str
) -> Tensor:
    """[N, D] on the CPU, of the 8-bit values that a lossless file would hold."""
    found = []
    for start in range(0, len(pictures), BATCH):
        pixels_BSS3 = (
            (np.nan_to_num(np.stack(pictures[start : start + BATCH])).clip(0, 1) * 255).round().astype(np.uint8)
        )
        batch = torch.from_numpy(pixels_BSS3).permute(0, 3, 1, 2)
        # Always full batches: matrix products of another shape may round differently.
        full = F.pad(batch, (0, 0, 0, 0, 0, 0, 0, BATCH - len(batch)))
        found.append(unit(embed_BD(preparation(full.to(device))))[: len(batch)].cpu())
    return torch.cat(found)


@torch.inference_mode()
def read(texts: Sequence[str], embed_BD: Callable[[list[str]], Tensor]) -> Tensor:
    """[number of texts, D] on the CPU; a text that stands there several times is embedded once."""
    distinct, found = list(dict.fromkeys(texts)), []
    for start in range(0, len(distinct), BATCH):
        batch = distinct[start : start + BATCH]
        found.append(unit(embed_BD([*batch, *[""] * (BATCH - len(batch))]))[: len(batch)].cpu())
    place = {text: row for row, text in enumerate(distinct)}
    return torch.cat(found)[[place[text] for text in texts]]


def unit(vectors_BD: Tensor) -> Tensor:
    return F.normalize(vectors_BD.float(), dim=1)


@contextmanager
def failures_of(model: ModelIdentity) -> Iterator[None]:
    """A backend's failure as an EngineError that names the model."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        way_out = "; draw with fewer engines at once (execution.workers)" if is_out_of_memory(error) else ""
        raise EngineError(f"{model.id} could not look at pictures: {error}{way_out}") from error
