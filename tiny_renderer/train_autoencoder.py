"""Train the autoencoder on rendered scenes, polish its decoder, and encode the scenes as latents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tiny_renderer.image_set import SceneSet
from tiny_renderer.networks import (
    LATENT_CHANNELS,
    LATENT_SIDE,
    Autoencoder,
    autoencoder_losses,
    build_autoencoder,
    reconstruction_losses,
    standardise_latents,
)
from tiny_renderer.training_loop import LossReport, RendererTraining, TrainingSchedule


def to_tensor(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Return uint8 (N, 64, 64, 3) as float (N, 3, 64, 64) in -1..1, channels last in memory."""
    values = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float()
    return (values / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def _precision(device: torch.device) -> torch.autocast:
    """Half precision, but not on a CPU: one that has no bfloat16 of its own is eleven times slower with it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type != "cpu")


def start(folder: Path, schedule: TrainingSchedule, device: torch.device) -> tuple[Autoencoder, RendererTraining]:
    """Return the autoencoder, as far as it has been trained in ``folder``, and its training."""
    torch.manual_seed(0)
    vae = build_autoencoder().to(device, memory_format=torch.channels_last)
    return vae, RendererTraining("autoencoder", {"vae": vae}, schedule, folder)


def train(vae: Autoencoder, training: RendererTraining, images: SceneSet, device: torch.device) -> Iterator[LossReport]:
    """Train on random scenes, half of them mirrored; yield reports."""

    def losses_of(step: int) -> dict[str, Tensor]:
        draw = np.random.default_rng([1, step])
        batch = to_tensor(images.pixels(draw.integers(0, len(images), training.schedule.batch)), device)
        if draw.random() < 0.5:
            batch = batch.flip(-1)
        generator = torch.Generator().manual_seed(step)
        with _precision(device):
            return autoencoder_losses(vae, batch, generator)

    vae.train()
    yield from training.run(losses_of)


def start_polish(vae: Autoencoder, folder: Path, schedule: TrainingSchedule) -> RendererTraining:
    """Return the training of the decoder alone: the encoder, and with it every latent, stays as it is."""
    return RendererTraining("decoder", {"decoder": vae.decoder, "entry": vae.post_quant_conv}, schedule, folder)


def polish(
    vae: Autoencoder, training: RendererTraining, images: SceneSet, device: torch.device
) -> Iterator[LossReport]:
    """Train the decoder on posterior samples of random scenes; yield reports."""

    def losses_of(step: int) -> dict[str, Tensor]:
        draw = np.random.default_rng([4, step])
        batch = to_tensor(images.pixels(draw.integers(0, len(images), training.schedule.batch)), device)
        if draw.random() < 0.5:
            batch = batch.flip(-1)
        with _precision(device):
            with torch.no_grad():
                latents = vae.encode(batch).latent_dist.sample(torch.Generator().manual_seed(step))
            return reconstruction_losses(vae, latents, batch)

    vae.train()
    yield from training.run(losses_of)


@torch.inference_mode()
def reconstruction_psnr(vae: Autoencoder, images: SceneSet, count: int, device: torch.device) -> float:
    """Return the mean over the first ``count`` images of each one's PSNR in dB, through the posterior's mean."""
    vae.eval()
    count = min(count, len(images))
    values: list[float] = []
    for first in range(0, count, 64):
        batch = to_tensor(images.pixels(np.arange(first, min(count, first + 64))), device)
        with _precision(device):
            rebuilt = vae.decode(vae.encode(batch).latent_dist.mean).sample.float()
        error = ((rebuilt.clamp(-1, 1) - batch) / 2).square().mean(dim=(1, 2, 3))
        values.extend((-10 * error.log10()).tolist())
    return float(np.mean(values))


@torch.no_grad()
def standardise(
    vae: Autoencoder, training: RendererTraining, images: SceneSet, count: int, device: torch.device
) -> None:
    """Give the averaged autoencoder's latents mean zero and spread one in each channel, and keep it so."""
    training.load_average()
    vae.eval()
    rows = np.arange(min(count, len(images)))
    with _precision(device):
        found = vae.encode(to_tensor(images.pixels(rows), device)).latent_dist
    mean, spread = found.mean.float(), found.std.float()
    total = mean.var(dim=(0, 2, 3)) + spread.square().mean(dim=(0, 2, 3))
    standardise_latents(vae, mean.mean(dim=(0, 2, 3)), total.sqrt())
    training.adopt_weights()


@torch.inference_mode()
def write_latents(vae: Autoencoder, images: SceneSet, path: Path, device: torch.device) -> None:
    """Write mean and spread of every scene's latents to ``path``, once: float16 (scenes, 2, C, 16, 16)."""
    if path.exists():
        return
    vae.eval()
    store = np.empty((len(images), 2, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE), np.float16)
    for first in range(0, len(images), 64):
        rows = np.arange(first, min(len(images), first + 64))
        with _precision(device):
            posterior = vae.encode(to_tensor(images.pixels(rows), device)).latent_dist
        store[rows, 0] = posterior.mean.float().cpu().numpy()
        store[rows, 1] = posterior.std.float().cpu().numpy()
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, store, allow_pickle=False)
    partial.replace(path)
