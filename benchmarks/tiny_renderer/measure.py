"""An exported renderer, a judge and captions enter, the figures of the model's card leave as JSON lines.

``python -m benchmarks.tiny_renderer.measure --work DIR [--model models/renderer/tiny] [--captions 128]``; ``DIR`` holds the
judge (``judge.safetensors``), the rendered scenes, and gets ``figures.jsonl`` and ``contact_sheet.png``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.tiny_renderer.judge import canonical, held_out_accuracy, judge_pictures, train_judge
from models.renderer.tiny_training import load_pipeline
from tasks.tiny_world.captions_of_scenes import PROSE, Prose, read_prose
from tasks.tiny_world.contact_sheet import draw_captions, tile
from tasks.tiny_world.labels import label_names, label_scenes
from tasks.tiny_world.picture_set import PictureSet
from tasks.tiny_world.scenes import Scene
from tasks.tiny_world.stages import split_prose
from tasks.tiny_world.world import read_world

STEPS, GUIDANCE, PER_CAPTION = 12, 2.5, 4
SHIPPED = Path(__file__).resolve().parents[2] / "models" / "renderer" / "tiny"


def alignment(judge: Any, pictures: Sequence[Image.Image], said: Sequence[Prose]) -> dict[str, float]:
    """Return the share of pictures in which the judge sees what the caption says, per label that it says.

    Either of two related things counts as the concept seen; a relation counts only between the right two.
    """
    world = read_world()
    scenes = [canonical(Scene("any", *sentence.key)) for sentence in said for _ in range(PER_CAPTION)]
    subjects = [sentence.concept for sentence in said for _ in range(PER_CAPTION)]
    found, labels = judge_pictures(judge, pictures), label_scenes(scenes, world)
    names = label_names(world)
    none = {name: len(classes) for name, classes in names.items()}
    number = {name: k for k, name in enumerate(names["concept"])}
    hits: dict[str, list[bool]] = {"concept": [], "place": [], "relation": [], "relation_alone": [], "texture": []}
    for row, subject in enumerate(subjects):
        if subject is not None:
            hits["concept"].append(number[subject] in (found["concept"][row], found["other"][row]))
        if labels[row, 1] != none["place"]:
            hits["place"].append(bool(found["place"][row] == labels[row, 1]))
        if labels[row, 2] != none["relation"]:
            same = bool(found["relation"][row] == labels[row, 2])
            hits["relation_alone"].append(same)
            pair = found["concept"][row] == labels[row, 0] and found["other"][row] == labels[row, 3]
            hits["relation"].append(bool(same and pair))
        if labels[row, 4] != none["texture"]:
            hits["texture"].append(bool(found["texture"][row] == labels[row, 4]))
    return {name: round(float(np.mean(values)), 4) for name, values in hits.items() if values}


def diversity(pictures: Sequence[Image.Image]) -> float:
    """Return the mean RMS difference, in 0..255, between the pictures of a caption, all pairs."""
    stack = np.stack([np.asarray(picture, np.float32) for picture in pictures])
    groups = stack.reshape(-1, PER_CAPTION, *stack.shape[1:])
    pairs = [(a, b) for a in range(PER_CAPTION) for b in range(a)]
    return float(np.mean([np.sqrt(np.square(groups[:, a] - groups[:, b]).mean(axis=(1, 2, 3))) for a, b in pairs]))


def nearest(pictures: Sequence[Image.Image], scenes: PictureSet, rows: np.ndarray) -> np.ndarray:
    """Return each picture's RMS distance, in 0..255, to the nearest of the scenes ``rows``, compared at 16 px."""

    def small(batch: np.ndarray) -> np.ndarray:
        return batch.reshape(-1, 16, 4, 16, 4, 3).mean(axis=(2, 4), dtype=np.float32).reshape(len(batch), -1)

    ours = small(np.stack([np.asarray(picture) for picture in pictures]))
    best = np.full(len(ours), np.inf, np.float32)
    for first in range(0, len(rows), 1024):
        theirs = small(scenes.pixels(rows[first : first + 1024]))
        squared = (ours**2).sum(1)[:, None] - 2 * ours @ theirs.T + (theirs**2).sum(1)[None]
        best = np.minimum(best, squared.min(axis=1))
    return np.sqrt(np.maximum(best, 0) / ours.shape[1])


def main() -> None:
    """Measure and print; every figure says on how many pictures it rests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--captions", type=int, default=128)
    parser.add_argument("--judge-steps", type=int, default=6000)
    parser.add_argument("--styles", nargs="+", help="as the judge was trained with")
    parser.add_argument("--guidance", type=float, nargs="+", default=[1.0, 2.5, 4.0, 7.5])
    arguments = parser.parse_args()

    def note(**figures: object) -> None:
        line = json.dumps(figures)
        print(line, flush=True)
        with (arguments.work / "figures.jsonl").open("a") as file:
            file.write(line + "\n")

    pipeline = load_pipeline(arguments.model)
    _, unseen = split_prose(read_prose(PROSE, read_world()))
    said = unseen[: arguments.captions]
    texts = [sentence.text for sentence in said]
    started = time.monotonic()
    sheet = draw_captions(pipeline, texts[:64], per_caption=PER_CAPTION, steps=STEPS, guidance=GUIDANCE, seed=0)
    note(
        figure="speed",
        pictures_per_second=round(len(sheet) / (time.monotonic() - started), 2),
        threads=torch.get_num_threads(),
    )
    tile(sheet, columns=16).save(arguments.work / "contact_sheet.png", optimize=True)
    (arguments.work / "contact_sheet.txt").write_text("\n".join(texts[:64]) + "\n")
    judge = train_judge(arguments.work, arguments.judge_steps, arguments.styles)
    seen = held_out_accuracy(judge, arguments.work, arguments.styles)
    note(figure="judge on held-out scenes", **{name: round(share, 4) for name, share in seen.items()})
    for guidance in arguments.guidance:
        drawn = draw_captions(pipeline, texts, per_caption=PER_CAPTION, steps=STEPS, guidance=guidance, seed=1)
        aligned = alignment(judge, drawn, said)
        note(
            figure="alignment", guidance=guidance, pictures=len(drawn), diversity=round(diversity(drawn), 2), **aligned
        )
    training = PictureSet(arguments.work / "scenes", "training-*")
    held_out = PictureSet(arguments.work / "scenes", "held-out-*")
    count = min(len(held_out) - 200, 1848)
    rows = np.arange(count)
    others = [Image.fromarray(pixels) for pixels in held_out.pixels(np.arange(count, count + 200))]
    note(
        figure="nearest scene",
        generated_to_training=round(float(nearest(sheet[:200], training, rows).mean()), 2),
        generated_to_other=round(float(nearest(sheet[:200], held_out, rows).mean()), 2),
        fresh_to_training=round(float(nearest(others, training, rows).mean()), 2),
        scenes=count,
    )


if __name__ == "__main__":
    main()
