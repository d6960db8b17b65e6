"""Rendered scenes enter, a small network that names concept, place and relation in a picture leaves, to measure the generator.

It is no part of the product. It sees the training styles alone. ``python -m benchmarks.tiny_renderer.judge --work DIR``
trains it, resumable like every stage; ``benchmarks/tiny_renderer/measure.py`` asks it.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from tasks.tiny_world.labels import label_names, label_scenes
from tasks.tiny_world.picture_set import PictureSet
from tasks.tiny_world.scenes import Scene
from tasks.tiny_world.train_autoencoder import to_tensor
from tasks.tiny_world.training_loop import Schedule, StepReport, Training
from tasks.tiny_world.world import read_world

ASKED = ("concept", "place", "relation", "other", "texture")
WIDTHS = (32, 64, 128, 256)


def canonical(scene: Scene) -> Scene:
    """Return what can be told from a picture: one of two ways to say a relation, one order of two things side by side.

    "A behind B" and "B in front of A" are the same picture, and so are under and over, below and above.
    """
    if scene.relation is None:
        return scene
    turned = {"behind": "in front of", "under": "over", "below": "above"}.get(scene.relation)
    if turned is not None:
        return replace(scene, concept=scene.other, relation=turned, other=scene.concept)
    if scene.relation in ("next to", "besides"):
        first, second = sorted((scene.concept or "", scene.other or ""))
        return replace(scene, concept=first, relation="next to", other=second)
    return scene


class Judge(nn.Module):
    """Strided convolutions with one residual block a level, mean and maximum over positions, one linear head a label."""

    def __init__(self) -> None:
        super().__init__()
        levels: list[nn.Module] = []
        before = 3
        for width in WIDTHS:
            levels += [nn.Conv2d(before, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU(), Residual(width)]
            before = width
        self.trunk = nn.Sequential(*levels)
        self.heads = nn.ModuleDict(
            {name: nn.Linear(2 * before + 16 * 32, len(label_names(read_world())[name]) + 1) for name in ASKED}
        )
        self.squeeze = nn.Conv2d(before, 32, 1)

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Return logits per label for pictures (N, 3, 64, 64) in -1..1."""
        maps = self.trunk(pictures)
        where = self.squeeze(maps).flatten(1)  # a relation is a matter of where, which pooling forgets
        features = torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3)), where], dim=1)
        return {name: head(features) for name, head in self.heads.items()}


class Residual(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape."""
        return F.relu(maps + self.body(maps))


def train_judge(folder: Path, steps: int, styles: Collection[str] | None = None, batch: int = 64) -> Judge:
    """Train on the rendered scenes of ``folder``; the running means of its norms are re-estimated at the end."""
    torch.manual_seed(0)
    judge = Judge().to(memory_format=torch.channels_last)
    training = Training("judge", {"judge": judge}, Schedule(steps, batch, 2e-3, cool=0.6, decay=0.998), folder)
    pictures = PictureSet(folder / "scenes", "training-*", styles)
    world = read_world()

    def losses_of(step: int) -> dict[str, Tensor]:
        draw = np.random.default_rng([5, step])
        rows = draw.integers(0, len(pictures), batch)
        labels = torch.from_numpy(label_scenes([canonical(pictures.scenes[row]) for row in rows], world))
        seen = _disturb(to_tensor(pictures.pixels(rows), torch.device("cpu")), draw)
        with torch.autocast("cpu", torch.bfloat16):
            logits = judge(seen)
        return {name: F.cross_entropy(logits[name].float(), labels[:, k]) for k, name in enumerate(ASKED)}

    judge.train()
    for report in training.run(losses_of):
        _tell(report)
    training.load_average()
    _settle_norms(judge, pictures)
    return judge.eval()


def _disturb(pictures: Tensor, draw: np.random.Generator) -> Tensor:
    """Blur, noise and mirroring, so that the judge looks at shapes, not at the renderer's crisp edges."""
    if draw.random() < 0.5:
        pictures = pictures.flip(-1)
    if draw.random() < 0.5:
        pictures = F.interpolate(F.avg_pool2d(pictures, 2), scale_factor=2, mode="bilinear")
    noise = torch.from_numpy(draw.standard_normal(pictures.shape, dtype=np.float32))
    return pictures + float(draw.uniform(0, 0.08)) * noise


@torch.no_grad()
def _settle_norms(judge: Judge, pictures: PictureSet) -> None:
    for module in judge.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    judge.train()
    for step in range(20):
        draw = np.random.default_rng([6, step])
        rows = draw.integers(0, len(pictures), 64)
        judge(_disturb(to_tensor(pictures.pixels(rows), torch.device("cpu")), draw))


def _tell(report: StepReport) -> None:
    losses = " ".join(f"{name} {value:.3f}" for name, value in report.losses.items())
    print(f"judge {report.step}: {losses}, {report.examples_per_second:.0f}/s", flush=True)


@torch.inference_mode()
def judge_pictures(judge: Judge, pictures: Sequence[Image.Image]) -> dict[str, np.ndarray]:
    """Return the predicted class of each label for RGB pictures of 64 px."""
    pixels = np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
    found: dict[str, list[np.ndarray]] = {name: [] for name in ASKED}
    for first in range(0, len(pixels), 128):
        logits = judge(to_tensor(pixels[first : first + 128], torch.device("cpu")))
        for name in ASKED:
            found[name].append(logits[name].argmax(dim=1).numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def held_out_accuracy(judge: Judge, folder: Path, styles: Collection[str] | None = None) -> dict[str, float]:
    """Return the share of right answers on the held-out scenes that have the label."""
    pictures = PictureSet(folder / "scenes", "held-out-*", styles)
    images = [Image.fromarray(p) for p in pictures.pixels(np.arange(len(pictures)))]
    found, labels = judge_pictures(judge, images), label_scenes(map(canonical, pictures.scenes), read_world())
    names = label_names(read_world())
    shares = {}
    for k, name in enumerate(ASKED):
        asked = labels[:, k] < len(names[name])
        shares[name] = float((found[name][asked] == labels[asked, k]).mean())
    return shares


def main() -> None:
    """Train, or go on training, and print the judge's accuracy on held-out scenes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--styles", nargs="+", help="the styles that the generator was trained on; all unless named")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    judge = train_judge(arguments.work, arguments.steps, arguments.styles)
    print({name: round(share, 4) for name, share in held_out_accuracy(judge, arguments.work, arguments.styles).items()})


if __name__ == "__main__":
    main()
