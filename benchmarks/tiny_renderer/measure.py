"""Measure an exported renderer by a judge: the figures of the model's card, as JSON lines.

``python -m benchmarks.tiny_renderer.measure --work DIR [--model models/renderer/tiny] [--captions 128]``; ``DIR`` is the
training's work folder: it holds the rendered scenes and the judge (both are made if they are not there), and gets
``figures.jsonl``, ``contact_sheet.png`` and ``contact_sheet.txt``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.tiny_renderer.judge import STEPS, Judge, accuracy_by_head, alignment, train_judge
from flows.runs.recipes import resolve_recipe
from models.renderer.build import TINY
from models.tiny_world.scenes import Scene
from models.tiny_world.world import read_world
from tiny_renderer import train_reader
from tiny_renderer.captions_of_scenes import PROSE, ProseSentence, read_prose
from tiny_renderer.contact_sheet import draw_captions, save_small, tile
from tiny_renderer.image_set import SceneSet
from tiny_renderer.networks import Pipeline, load_pipeline
from tiny_renderer.stages import TrainingPlan, TrainingRun, render_scenes, split_prose
from tiny_renderer.train_autoencoder import reconstruction_psnr

RECIPE = resolve_recipe("tiny").images
PER_CAPTION = RECIPE.per_caption
ON_SHEET, COMPARED = 64, 200
ImageArray = NDArray[np.uint8]
"""N x 64 x 64 x 3."""
Note = Callable[..., None]
"""Takes figures by name."""


def unseen_prose(path: Path | None) -> list[ProseSentence]:
    """Return sentences that the renderer was not trained on: those held out, or the unknown ones of another prose file."""
    world = read_world()
    trained, held_out = split_prose(read_prose(PROSE, world))
    if path is None:
        return held_out
    known = {sentence.text.casefold() for sentence in trained}
    return [sentence for sentence in read_prose(path, world) if sentence.text.casefold() not in known]


def as_pixels(images: Sequence[Image.Image]) -> ImageArray:
    """Return RGB images of one size as one array."""
    return np.stack([np.asarray(image.convert("RGB")) for image in images])


def diversity(images: ImageArray) -> float:
    """Return the mean RMS difference, in 0..255, between the images of a caption, all pairs."""
    groups = images.astype(np.float32).reshape(-1, PER_CAPTION, *images.shape[1:])
    pairs = [(a, b) for a in range(PER_CAPTION) for b in range(a)]
    return float(np.mean([np.sqrt(np.square(groups[:, a] - groups[:, b]).mean(axis=(1, 2, 3))) for a, b in pairs]))


def nearest(images: ImageArray, scenes: SceneSet, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return each image's RMS distance, in 0..255, to the nearest of the scenes ``rows``, compared at 16 px."""

    def small(batch: ImageArray) -> NDArray[np.float32]:
        means: NDArray[np.float32] = batch.reshape(-1, 16, 4, 16, 4, 3).mean(axis=(2, 4), dtype=np.float32)
        return means.reshape(len(batch), -1)

    ours = small(images)
    best = np.full(len(ours), np.inf, np.float32)
    for first in range(0, len(rows), 1024):
        theirs = small(scenes.pixels(rows[first : first + 1024]))
        squared = (ours**2).sum(1)[:, None] - 2 * ours @ theirs.T + (theirs**2).sum(1)[None]
        best = np.minimum(best, squared.min(axis=1))
    distances: NDArray[np.float32] = np.sqrt(np.maximum(best, 0) / ours.shape[1])
    return distances


def copies(images: ImageArray, training: SceneSet, held_out: SceneSet) -> dict[str, float]:
    """Compare distances to scenes of the training with distances to scenes that training never touched.

    A copy would lie nearer to some training scene than fresh scenes do (``fresh_to_training``, whose subjects are whole
    and crisp), and nearer to training scenes than to as many that were never seen.
    """
    others = min(COMPARED, len(held_out) // 2)
    fresh, rest = held_out.pixels(np.arange(others)), np.arange(others, len(held_out))
    ours, theirs = (nearest(shown, training, np.arange(len(training))) for shown in (images, fresh))
    few = np.linspace(0, len(training) - 1, min(len(rest), len(training)), dtype=np.int64)
    distances = {
        "generated_to_training": ours.mean(),
        "fresh_to_training": theirs.mean(),
        "closest_generated": ours.min(),
        "closest_fresh": theirs.min(),
        "generated_to_as_many_training": nearest(images, training, few).mean(),
        "generated_to_as_many_unseen": nearest(images, held_out, rest[: len(few)]).mean(),
    }
    counts = {"images": len(images), "training_scenes": len(training), "as_many": len(few)}
    return {name: round(float(value), 2) for name, value in distances.items()} | counts


def tags(work: Path, tokenizer: Any, said: Sequence[ProseSentence]) -> dict[str, float]:
    """Return the share of captions that the text encoder's heads, kept in the work folder alone, read right, per label."""
    world, device = read_world(), torch.device("cpu")
    tagger, reading = train_reader.start(tokenizer, world, work, TrainingPlan().reader, device)
    reading.load_average()
    scenes = [Scene("any", *sentence.key) for sentence in said]
    found = train_reader.reading_accuracy(tagger, tokenizer, [sentence.text for sentence in said], scenes, world)
    return {name: round(share, 4) for name, share in found.items()}


def main() -> None:
    """Measure and print; every figure says on how many images it rests."""
    given = _arguments()
    note = partial(_note, given.work)
    # Another process: two engines, of so many threads each, are more than this one can be.
    speed = [sys.executable, "-m", "benchmarks.tiny_renderer.speed", "--model", str(given.model)]
    note(**json.loads(subprocess.run(speed, check=True, capture_output=True, text=True).stdout.splitlines()[-1]))
    scenes = given.work / "scenes"
    if not any(scenes.glob("training-*.json")):
        render_scenes(TrainingRun(given.work))
    judge = train_judge(given.work, given.judge_steps, given.styles)
    training, held_out = (SceneSet(scenes, f"{split}-*", given.styles) for split in ("training", "held-out"))
    _measure_judge(judge, held_out, note)
    pipeline = load_pipeline(given.model)
    psnr = reconstruction_psnr(pipeline.vae, held_out, 512, torch.device("cpu"))
    note(figure="autoencoder on held-out scenes", psnr_db=round(psnr, 2), images=min(512, len(held_out)))
    said = unseen_prose(given.prose)[: given.captions]
    if (given.work / "reader.safetensors").exists():
        note(figure="text encoder's tags", captions=len(said), **tags(given.work, pipeline.tokenizer, said))
    _measure_images(given, pipeline, judge, said, (training, held_out), note)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=TINY)
    parser.add_argument("--captions", type=int, default=128, help="at most so many, four images each")
    prose = "captions to draw instead of those held out, as tiny_renderer.write_prose writes them"
    parser.add_argument("--prose", type=Path, help=prose)
    parser.add_argument("--judge-steps", type=int, default=STEPS, help="a judge that has made fewer is trained on")
    parser.add_argument("--styles", nargs="+", help="those the renderer was trained on; all unless named")
    parser.add_argument("--guidance", type=float, nargs="+", default=[1.0, 2.5, 4.0, 7.5])
    parser.add_argument("--steps", type=int, default=RECIPE.steps, help="of an image; the tiny recipe's unless given")
    return parser.parse_args()


def _note(work: Path, **figures: object) -> None:
    """Print figures as a line of JSON, and add it to ``figures.jsonl``."""
    line = json.dumps(figures)
    print(line, flush=True)
    with (work / "figures.jsonl").open("a") as file:
        file.write(line + "\n")


def _measure_judge(judge: Judge, held_out: SceneSet, note: Note) -> None:
    whole = held_out.pixels(np.arange(len(held_out)))
    heads = {name: round(share, 4) for name, share in accuracy_by_head(judge, held_out).items()}
    note(figure="judge on held-out scenes, head by head", images=len(whole), **heads)
    aligned = alignment(judge, whole, held_out.scenes)
    note(figure="judge on held-out scenes, asked as of generated ones", images=len(whole), **aligned)


def _measure_images(
    given: argparse.Namespace,
    pipeline: Pipeline,
    judge: Judge,
    said: Sequence[ProseSentence],
    scenes: tuple[SceneSet, SceneSet],
    note: Note,
) -> None:
    """Draw the captions: the sheet, its distances to training and held-out `scenes`, and alignment by guidance."""
    texts = [sentence.text for sentence in said]
    expected = [Scene("any", *sentence.key) for sentence in said for _ in range(PER_CAPTION)]

    def draw(captions: Sequence[str], guidance: float, seed: int) -> list[Image.Image]:
        return draw_captions(
            pipeline, captions, per_caption=PER_CAPTION, steps=given.steps, guidance=guidance, seed=seed
        )

    sheet = draw(texts[:ON_SHEET], RECIPE.guidance_scale, 0)
    save_small(tile(sheet, columns=16), given.work / "contact_sheet.png")
    (given.work / "contact_sheet.txt").write_text("\n".join(texts[:ON_SHEET]) + "\n")
    note(figure="nearest scene", **copies(as_pixels(sheet[:COMPARED]), *scenes))
    for guidance in given.guidance:
        images = as_pixels(draw(texts, guidance, 1))
        about = {"images": len(images), "steps": given.steps, "diversity": round(diversity(images), 2)}
        note(figure="alignment", guidance=guidance, **about, **alignment(judge, images, expected))


if __name__ == "__main__":
    main()
