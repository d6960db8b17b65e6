"""Train the U-Net that draws from captions, on the latents of scenes and a frozen text encoder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from models.tiny_world.scenes import Scene
from tiny_renderer.captions_of_scenes import CaptionPool
from tiny_renderer.image_set import SceneSet
from tiny_renderer.networks import Denoiser, build_denoiser, flow_loss
from tiny_renderer.train_reader import tokenize
from tiny_renderer.training_loop import LossReport, RendererTraining, TrainingSchedule

UNCAPTIONED = 0.1
"""Share of images without a caption, which is what classifier-free guidance subtracts (Ho & Salimans, 2022)."""
SUBJECT = 3.0
"""Weight of a cell that shows a concept, against one of scenery: places are learnt long before concepts are."""


class LatentSet:
    """Latents of one or more sets of scenes, drawn from their posteriors and scaled to unit spread."""

    def __init__(self, parts: list[tuple[NDArray[np.float16], SceneSet]], scaling_factor: float) -> None:
        self.parts, self.scaling_factor = parts, scaling_factor
        self._starts = np.cumsum([0, *(len(scenes) for _, scenes in parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor, list[Scene]]:
        """Return ``count`` random latents (count, C, 16, 16), the weights of their cells (count, 16, 16), and their scenes."""
        latents, weights, scenes = [], [], []
        for number in rng.integers(0, len(self), count):
            part = int(np.searchsorted(self._starts, number, side="right")) - 1
            store, described = self.parts[part]
            row = int(number - self._starts[part])
            mean, spread = store[row].astype(np.float32)
            latents.append(mean + spread * rng.standard_normal(mean.shape, dtype=np.float32))
            weights.append(cell_weights(described.masks(np.array([row]))[0], mean.shape[-1]))
            scenes.append(described.scenes[row])
        scaled = torch.from_numpy(np.stack(latents) * np.float32(self.scaling_factor))
        return scaled, torch.from_numpy(np.stack(weights)), scenes


def cell_weights(shows: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Return the weights (side, side) of a latent's cells from the mask of its image, by how much of each shows a concept."""
    cell = len(shows) // side
    shares: NDArray[np.float32] = (shows > 0).reshape(side, cell, side, cell).mean(axis=(1, 3), dtype=np.float32)
    return 1 + (SUBJECT - 1) * shares


def spread_of(store: NDArray[np.float16]) -> float:
    """Return the standard deviation of sampled latents; its inverse is the VAE's scaling factor."""
    sample = store.astype(np.float32)
    return float(np.sqrt(sample[:, 0].var() + np.square(sample[:, 1]).mean()))


def start(folder: Path, schedule: TrainingSchedule, device: torch.device) -> tuple[Denoiser, RendererTraining]:
    """Return the U-Net, as far as it has been trained in ``folder``, and its training."""
    torch.manual_seed(0)
    denoiser = build_denoiser().to(device, memory_format=torch.channels_last)
    return denoiser, RendererTraining("denoiser", {"unet": denoiser}, schedule, folder)


def train(
    denoiser: Denoiser,
    training: RendererTraining,
    tower: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    latents: LatentSet,
    captions: CaptionPool,
    device: torch.device,
) -> Iterator[LossReport]:
    """Train on random scenes with fresh captions, the text tower frozen; yield reports."""

    def losses_of(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([3, step])
        clean, weights_NHW, scenes = latents.draw(rng, training.schedule.batch)
        texts = ["" if rng.random() < UNCAPTIONED else captions.caption(scene, rng)[0] for scene in scenes]
        tokens_NT, _ = tokenize(tokenizer, texts)
        generator = torch.Generator().manual_seed(step)
        clean = clean.to(device).contiguous(memory_format=torch.channels_last)
        # On a CPU float32 is the faster of the two at this size: 98 images a second against 78, one Zen 4 core, batch 32.
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type != "cpu"):
            with torch.no_grad():
                context_NTD = tower(input_ids=tokens_NT.to(device)).last_hidden_state
            return {"velocity": flow_loss(denoiser, clean, context_NTD, generator, weights_NHW.to(device))}

    tower.eval()
    denoiser.train()
    yield from training.run(losses_of)
