"""An exported renderer, a judge and captions enter, the figures of the model's card leave as JSON lines.

``python -m benchmarks.tiny_renderer.measure --work DIR [--model models/renderer/tiny] [--captions 128]``; ``DIR`` is the
training's work folder: it holds the rendered scenes and the judge (both are made if they are not there), and gets
``figures.jsonl``, ``contact_sheet.png`` and ``contact_sheet.txt``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.tiny_renderer.judge import STEPS, accuracy_by_head, alignment, train_judge
from flows.runs.recipes import resolve
from models.renderer.build import TINY
from models.tiny_world.scenes import Scene
from models.tiny_world.world import read_world
from tiny_renderer import train_reader
from tiny_renderer.captions_of_scenes import PROSE, Prose, read_prose
from tiny_renderer.contact_sheet import draw_captions, save_small, tile
from tiny_renderer.image_set import PictureSet
from tiny_renderer.networks import load_pipeline
from tiny_renderer.stages import Plan, Workshop, render_scenes, split_prose
from tiny_renderer.train_autoencoder import reconstruction_psnr

RECIPE = resolve("tiny").images
PER_CAPTION = RECIPE.per_caption
ON_SHEET, COMPARED = 64, 200
Pictures = NDArray[np.uint8]
"""N x 64 x 64 x 3."""


def unseen_prose(path: Path | None) -> list[Prose]:
    """Return sentences that the generator never learnt from: those held out, or what a file of other prose has besides."""
    world = read_world()
    learnt, unseen = split_prose(read_prose(PROSE, world))
    if path is None:
        return unseen
    known = {sentence.text.casefold() for sentence in learnt}
    return [sentence for sentence in read_prose(path, world) if sentence.text.casefold() not in known]


def as_pixels(pictures: Sequence[Image.Image]) -> Pictures:
    """Return RGB pictures of one size as one array."""
    return np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])


def diversity(pictures: Pictures) -> float:
    """Return the mean RMS difference, in 0..255, between the pictures of a caption, all pairs."""
    groups = pictures.astype(np.float32).reshape(-1, PER_CAPTION, *pictures.shape[1:])
    pairs = [(a, b) for a in range(PER_CAPTION) for b in range(a)]
    return float(np.mean([np.sqrt(np.square(groups[:, a] - groups[:, b]).mean(axis=(1, 2, 3))) for a, b in pairs]))


def nearest(pictures: Pictures, scenes: PictureSet, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return each picture's RMS distance, in 0..255, to the nearest of the scenes ``rows``, compared at 16 px."""

    def small(batch: Pictures) -> NDArray[np.float32]:
        return batch.reshape(-1, 16, 4, 16, 4, 3).mean(axis=(2, 4), dtype=np.float32).reshape(len(batch), -1)

    ours = small(pictures)
    best = np.full(len(ours), np.inf, np.float32)
    for first in range(0, len(rows), 1024):
        theirs = small(scenes.pixels(rows[first : first + 1024]))
        squared = (ours**2).sum(1)[:, None] - 2 * ours @ theirs.T + (theirs**2).sum(1)[None]
        best = np.minimum(best, squared.min(axis=1))
    distances: NDArray[np.float32] = np.sqrt(np.maximum(best, 0) / ours.shape[1])
    return distances


def copies(pictures: Pictures, training: PictureSet, held_out: PictureSet) -> dict[str, float]:
    """Compare distances to scenes that were learnt from with distances that know of no learning.

    A copy would lie nearer to some training scene than fresh scenes do (``fresh_to_training``, whose subjects are whole
    and crisp), and nearer to training scenes than to as many that were never seen.
    """
    others = min(COMPARED, len(held_out) // 2)
    fresh, rest = held_out.pixels(np.arange(others)), np.arange(others, len(held_out))
    ours, theirs = (nearest(shown, training, np.arange(len(training))) for shown in (pictures, fresh))
    few = np.linspace(0, len(training) - 1, min(len(rest), len(training)), dtype=np.int64)
    told = {
        "generated_to_training": ours.mean(),
        "fresh_to_training": theirs.mean(),
        "closest_generated": ours.min(),
        "closest_fresh": theirs.min(),
        "generated_to_as_many_training": nearest(pictures, training, few).mean(),
        "generated_to_as_many_unseen": nearest(pictures, held_out, rest[: len(few)]).mean(),
    }
    counts = {"pictures": len(pictures), "training_scenes": len(training), "as_many": len(few)}
    return {name: round(float(value), 2) for name, value in told.items()} | counts


def tags(work: Path, tokenizer: Any, said: Sequence[Prose]) -> dict[str, float]:
    """Ask the text encoder's heads, which are in the training's folder alone, what captions say; right answers per label."""
    world, device = read_world(), torch.device("cpu")
    tagger, reading = train_reader.start(tokenizer, world, work, Plan().reader, device)
    reading.load_average()
    scenes = [Scene("any", *sentence.key) for sentence in said]
    found = train_reader.reading_accuracy(tagger, tokenizer, [sentence.text for sentence in said], scenes, world)
    return {name: round(share, 4) for name, share in found.items()}


def main() -> None:
    """Measure and print; every figure says on how many pictures it rests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=TINY)
    parser.add_argument("--captions", type=int, default=128, help="at most so many, four pictures each")
    parser.add_argument(
        "--prose",
        type=Path,
        help="captions to draw instead of those held out, as tiny_renderer.write_prose writes them",
    )
    parser.add_argument("--judge-steps", type=int, default=STEPS, help="a judge that has made fewer is trained on")
    parser.add_argument("--styles", nargs="+", help="those the generator was trained on; all unless named")
    parser.add_argument("--guidance", type=float, nargs="+", default=[1.0, 2.5, 4.0, 7.5])
    parser.add_argument("--steps", type=int, default=RECIPE.steps, help="of a picture; the tiny recipe's unless said")
    arguments = parser.parse_args()

    def note(**figures: object) -> None:
        line = json.dumps(figures)
        print(line, flush=True)
        with (arguments.work / "figures.jsonl").open("a") as file:
            file.write(line + "\n")

    # Another process: two engines, of so many threads each, are more than this one can be.
    speed = [sys.executable, "-m", "benchmarks.tiny_renderer.speed", "--model", str(arguments.model)]
    note(**json.loads(subprocess.run(speed, check=True, capture_output=True, text=True).stdout.splitlines()[-1]))

    if not any((arguments.work / "scenes").glob("training-*.json")):
        render_scenes(Workshop(arguments.work))
    judge = train_judge(arguments.work, arguments.judge_steps, arguments.styles)
    scenes = arguments.work / "scenes"
    training = PictureSet(scenes, "training-*", arguments.styles)
    held_out = PictureSet(scenes, "held-out-*", arguments.styles)
    whole = held_out.pixels(np.arange(len(held_out)))
    heads = {name: round(share, 4) for name, share in accuracy_by_head(judge, held_out).items()}
    note(figure="judge on held-out scenes, head by head", pictures=len(whole), **heads)
    note(
        figure="judge on held-out scenes, asked as of generated ones",
        pictures=len(whole),
        **alignment(judge, whole, held_out.scenes),
    )

    pipeline = load_pipeline(arguments.model)
    psnr = reconstruction_psnr(pipeline.vae, held_out, 512, torch.device("cpu"))
    note(figure="autoencoder on held-out scenes", psnr_db=round(psnr, 2), pictures=min(512, len(held_out)))

    said = unseen_prose(arguments.prose)[: arguments.captions]
    texts = [sentence.text for sentence in said]
    asked = [Scene("any", *sentence.key) for sentence in said for _ in range(PER_CAPTION)]

    def drawn(captions: Sequence[str], guidance: float, seed: int) -> list[Image.Image]:
        return draw_captions(
            pipeline, captions, per_caption=PER_CAPTION, steps=arguments.steps, guidance=guidance, seed=seed
        )

    if (arguments.work / "reader.safetensors").exists():
        note(figure="text encoder's tags", captions=len(said), **tags(arguments.work, pipeline.tokenizer, said))
    sheet = drawn(texts[:ON_SHEET], RECIPE.guidance_scale, 0)
    save_small(tile(sheet, columns=16), arguments.work / "contact_sheet.png")
    (arguments.work / "contact_sheet.txt").write_text("\n".join(texts[:ON_SHEET]) + "\n")
    note(figure="nearest scene", **copies(as_pixels(sheet[:COMPARED]), training, held_out))
    for guidance in arguments.guidance:
        pictures = as_pixels(drawn(texts, guidance, 1))
        told = {"pictures": len(pictures), "steps": arguments.steps, "diversity": round(diversity(pictures), 2)}
        note(figure="alignment", guidance=guidance, **told, **alignment(judge, pictures, asked))


if __name__ == "__main__":
    main()
