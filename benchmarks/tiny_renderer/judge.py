"""Train and ask a small network that names concept, place and relation in an image, to measure the renderer.

It is trained on the training styles alone. ``python -m benchmarks.tiny_renderer.judge --work DIR`` trains it, resumable like
every stage of the renderer's training; ``benchmarks/tiny_renderer/measure.py`` asks it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from models.tiny_world.scenes import Scene
from models.tiny_world.world import read_world
from tiny_renderer.image_set import SceneSet, render_split
from tiny_renderer.labels import label_names, label_scenes
from tiny_renderer.stages import TrainingPlan
from tiny_renderer.train_autoencoder import to_tensor
from tiny_renderer.training_loop import LossReport, RendererTraining, TrainingSchedule

SPLIT, SCENES = "judge", 57_344
"""Its scenes are its own, and many: after 2,600 steps it had memorised 13,500 of the renderer's, and named 82 % of others."""
JUDGED = ("concept", "place", "relation", "other", "texture")
WIDTHS = (32, 64, 128, 256)
STEPS = 7_000


def canonical(scene: Scene) -> Scene:
    """Reduce a scene to what an image can show: one of two ways to say a relation, one order of two things side by side.

    "A behind B" and "B in front of A" are the same image, and so are under and over, below and above.
    """
    if scene.relation is None:
        return scene
    inverse = {"behind": "in front of", "under": "over", "below": "above"}.get(scene.relation)
    if inverse is not None:
        return replace(scene, concept=scene.other, relation=inverse, other=scene.concept)
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
            {name: nn.Linear(2 * before + 16 * 32, len(label_names(read_world())[name]) + 1) for name in JUDGED}
        )
        self.squeeze = nn.Conv2d(before, 32, 1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return logits per label for images (N, 3, 64, 64) in -1..1."""
        maps = self.trunk(images)
        where = self.squeeze(maps).flatten(1)  # a relation is a matter of position, which pooling loses
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


def train_judge(
    folder: Path, steps: int, styles: Sequence[str] | None = None, batch: int = 64, scenes: int = SCENES
) -> Judge:
    """Train on scenes of its own, rendered if ``folder`` has none; the norms' running means are re-estimated at the end."""
    render_split(folder / "scenes", SPLIT, scenes, os.cpu_count() or 1, styles)
    torch.manual_seed(0)
    judge = Judge()
    judge.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    training = RendererTraining(
        "judge", {"judge": judge}, TrainingSchedule(steps, batch, 2e-3, cool=0.6, decay=0.998), folder
    )
    images = SceneSet(folder / "scenes", f"{SPLIT}-*", styles)
    world = read_world()

    def losses_of(step: int) -> dict[str, Tensor]:
        draw = np.random.default_rng([5, step])
        rows = draw.integers(0, len(images), batch)
        labels = torch.from_numpy(label_scenes([canonical(images.scenes[row]) for row in rows], world))
        seen = _augment(to_tensor(images.pixels(rows), torch.device("cpu")), draw)
        with torch.autocast("cpu", torch.bfloat16):
            logits = judge(seen)
        return {name: F.cross_entropy(logits[name].float(), labels[:, k]) for k, name in enumerate(JUDGED)}

    judge.train()
    for report in training.run(losses_of):
        _print_report(report)
    training.load_average()
    _estimate_norms(judge, images, batch)
    return judge.eval()


def _augment(images: Tensor, draw: np.random.Generator) -> Tensor:
    """Blur, add noise and mirror, so that the judge relies on shapes, not on the crisp edges of rendered scenes."""
    if draw.random() < 0.5:
        images = images.flip(-1)
    if draw.random() < 0.5:
        images = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2, mode="bilinear")
    noise = torch.from_numpy(draw.standard_normal(images.shape, dtype=np.float32))
    return images + float(draw.uniform(0, 0.08)) * noise


@torch.no_grad()
def _estimate_norms(judge: Judge, images: SceneSet, batch: int) -> None:
    """Estimate the batch norms' running means anew, with the weights as they are now."""
    for module in judge.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    judge.train()
    for step in range(20):
        draw = np.random.default_rng([6, step])
        rows = draw.integers(0, len(images), batch)
        judge(_augment(to_tensor(images.pixels(rows), torch.device("cpu")), draw))


def _print_report(report: LossReport) -> None:
    losses = " ".join(f"{name} {value:.3f}" for name, value in report.losses.items())
    print(f"judge {report.step}: {losses}, {report.examples_per_second:.0f}/s", flush=True)


@torch.inference_mode()
def class_probabilities(judge: Judge, pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Return the probability of every class of each label, none last, for images (N, 64, 64, 3)."""
    found: dict[str, list[NDArray[np.float32]]] = {name: [] for name in JUDGED}
    for first in range(0, len(pixels), 128):
        logits = judge(to_tensor(pixels[first : first + 128], torch.device("cpu")))
        for name in JUDGED:
            found[name].append(logits[name].softmax(dim=1).numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def accuracy_by_head(judge: Judge, images: SceneSet) -> dict[str, float]:
    """Return the share of right answers on the scenes that have the label, each head alone."""
    found, labels = class_probabilities(judge, images.pixels(np.arange(len(images)))), _labels(images.scenes)
    shares = {}
    for k, name in enumerate(JUDGED):
        asked = labels[:, k] < found[name].shape[1] - 1
        if asked.any():
            shares[name] = float((found[name].argmax(axis=1)[asked] == labels[asked, k]).mean())
    return shares


def alignment(judge: Judge, pixels: NDArray[np.uint8], said: Sequence[Scene]) -> dict[str, float]:
    """Return the share of images in which the judge sees what was asked for, per label of those that name it.

    Either of two related things counts as the concept seen, and its category as the category seen; `concept_top5` wants it
    among the five names that either head holds most likely. `relation` counts between the right two alone.
    """
    world = read_world()
    found, labels = class_probabilities(judge, pixels), _labels(said)
    best = {name: values.argmax(axis=1) for name, values in found.items()}
    likely = np.maximum(found["concept"], found["other"])[:, :-1].argsort(axis=1)[:, -5:]
    number = {name: k for k, name in enumerate(world.names())}
    category = [concept.category for concept in world.concepts] + [None]
    hits: dict[str, list[bool]] = {}
    for row, scene in enumerate(said):
        seen = best["concept"][row], best["other"][row]
        right = {name: bool(best[name][row] == labels[row, k]) for k, name in enumerate(JUDGED)}
        answers: dict[str, bool] = {}
        if scene.concept is not None:
            subject = number[scene.concept]
            answers["concept"], answers["concept_top5"] = subject in seen, subject in likely[row]
            answers["category"] = category[subject] in (category[seen[0]], category[seen[1]])
        if scene.relation is not None:
            answers["relation_alone"] = right["relation"]
            answers["relation"] = right["relation"] and right["concept"] and right["other"]
        for name in ("place", "texture"):
            if getattr(scene, name) is not None:
                answers[name] = right[name]
        for name, answer in answers.items():
            hits.setdefault(name, []).append(answer)
    return {name: round(float(np.mean(hits[name])), 4) for name in sorted(hits)}


def _labels(scenes: Sequence[Scene]) -> NDArray[np.int64]:
    return label_scenes([canonical(scene) for scene in scenes], read_world())


def main() -> None:
    """Train, or go on training, and print the judge's accuracy on held-out scenes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--work", type=Path, required=True, help="the training's folder; scenes are rendered if it has none"
    )
    parser.add_argument("--steps", type=int, default=STEPS, help="in all; a judge that has made fewer goes on")
    parser.add_argument("--styles", nargs="+", help="the styles that the renderer was trained on; all unless named")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    judge = train_judge(arguments.work, arguments.steps, arguments.styles)
    render_split(arguments.work / "scenes", "held-out", TrainingPlan().held_out, 1)
    shares = accuracy_by_head(judge, SceneSet(arguments.work / "scenes", "held-out-*", arguments.styles))
    print({name: round(share, 4) for name, share in shares.items()})


if __name__ == "__main__":
    main()
