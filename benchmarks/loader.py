"""Measure images a second from image shards to crops, against WebDataset with crops cut by Pillow sample by sample.

`python -m benchmarks.loader [FOLDER]`: the images stage of a run, else noise.
"""

import json
import statistics
import sys
import tempfile
import time
from typing import Any

import torch

from benchmarks.images_for_encoders import image_stage
from benchmarks.plain_crops import plain_batches
from data_specs.ids import seed_of
from data_specs.specs.encoder import EncoderSpec
from data_specs.stage import Stage
from flows.runs.recipes import resolve_recipe
from models.encoder.batch import make_crops
from models.encoder.draws import Draws
from tasks.encoder.loader import StepBatches, load
from tasks.shards import data_file

ROUNDS = 3


def plain(tars: list[str], spec: EncoderSpec) -> tuple[float, int]:
    """Seconds of one pass, and images in it."""
    started, count = time.perf_counter(), 0
    for wide, _ in plain_batches(tars, spec):
        count += len(wide)
    return time.perf_counter() - started, count


def ours(batches: StepBatches, first: int, spec: EncoderSpec) -> tuple[float, int]:
    """The same, from batch `first` on; what is random in a batch follows from its number."""
    store, _ = batches.open()
    numbers, count = range(first, first + sum(store.counts) // spec.captions_per_step), 0
    started = time.perf_counter()
    for number, batch in zip(numbers, load(batches, numbers, 0), strict=True):
        generator = torch.Generator().manual_seed(seed_of("benchmark", number))
        make_crops(batch, spec, Draws(generator, len(batch.images_I)))
        count += len(batch.images_I)
    return time.perf_counter() - started, count


def rates(stage: Stage, spec: EncoderSpec) -> dict[str, float]:
    tars = [data_file(address, "tar") for address in stage.shards()]
    found: dict[str, list[float]] = {"plain": [], "first_pass": [], "later_passes": []}
    for _ in range(ROUNDS):
        seconds, count = plain(tars, spec)
        found["plain"].append(count / seconds)
        batches = StepBatches(stage, spec, 0)
        seconds, count = ours(batches, 0, spec)  # shards are read, images decoded
        found["first_pass"].append(count / seconds)
        seconds, count = ours(batches, count // spec.captions_per_step // spec.images_per_caption, spec)
        found["later_passes"].append(count / seconds)
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> None:
    torch.set_num_threads(1)  # Pillow has one
    spec, of_run = resolve_recipe("tiny").encoder, sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as empty:
        found = rates(image_stage(of_run, empty), spec)
    figures: dict[str, Any] = {"benchmark": "loader", "images": "of a run" if of_run else "noise", "threads": 1}
    figures |= {f"{name}_images_per_second": round(rate, 1) for name, rate in found.items()}
    ratios = {f"ratio_{name}": round(found[name] / found["plain"], 3) for name in ("first_pass", "later_passes")}
    print(json.dumps(figures | ratios), flush=True)


if __name__ == "__main__":
    main()
