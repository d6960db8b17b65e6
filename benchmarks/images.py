"""ImageBatch per second through the images stage, against a bare loop over the same pipeline and against the usual script.

All draw the same captions with the same weights, scheduler, steps, guidance and dtype, in turn, in one process:

* `bare`: batches of the stage's size through diffusers, pixels thrown away. What the engine can do.
* `usual`: what scripts do: one image per call, one pass over the captions per seed, the text encoded each time, each
  image saved before the next is drawn.
* `stage`: shards of captions in, sealed shards of image groups out, with every check, digest and record.

Beside the clock stands the processor time (`cpu_ratio`): on a machine that does something else too it says more.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.captions_for_images import captions
from data_specs import caption as caption_record
from data_specs.ids import image_seed
from data_specs.shard import ShardAddress
from data_specs.specs.images import ImagesSpec
from flows.runs.recipes import resolve
from models.renderer.build import TINY
from tasks.events import Worked, listening
from tasks.images.render import Work, render_here
from tasks.shards import make_shard
from tiny_renderer.networks import load_pipeline

SHARDS, PER_SHARD = 2, 32
ROUNDS = 3


def bare(pipeline: Any, spec: ImagesSpec) -> None:
    prompts = [(about, copy) for about in captions(SHARDS * PER_SHARD) for copy in range(spec.per_caption)]
    for start in range(0, len(prompts), spec.batch_size):
        batch = prompts[start : start + spec.batch_size]
        pipeline(
            prompt=[about.text for about, _ in batch],
            generator=[torch.Generator().manual_seed(image_seed(0, about.id, copy)) for about, copy in batch],
            num_inference_steps=spec.steps,
            guidance_scale=spec.guidance_scale,
            output_type="np",
        )


def usual(pipeline: Any, spec: ImagesSpec, folder: Path) -> None:
    for copy in range(spec.per_caption):
        for about in captions(SHARDS * PER_SHARD):
            [image] = pipeline(
                prompt=about.text,
                generator=torch.Generator().manual_seed(image_seed(0, about.id, copy)),
                num_inference_steps=spec.steps,
                guidance_scale=spec.guidance_scale,
            ).images
            image.save(folder / f"{about.id}-{copy}.jpg", quality=spec.quality)


def stage(spec: ImagesSpec, folder: Path) -> None:
    works = []
    for index in range(SHARDS):
        source = ShardAddress(folder=str(folder), stage="captions", lineage="a", index=index)
        works.append(Work(source, None, ShardAddress(folder=str(folder), stage="images", lineage="b", index=index)))
        part = captions(SHARDS * PER_SHARD)[index * PER_SHARD : (index + 1) * PER_SHARD]
        make_shard(source, caption_record.CONTRACT, lambda part=part: part)
    render_here(works, spec, seed=0, run="")


def timed(work: Callable[[Path], None]) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        clock, processor = time.perf_counter(), time.process_time()
        work(Path(folder))
        return time.perf_counter() - clock, time.process_time() - processor


def main() -> None:
    spec = resolve("tiny").images
    pipeline = load_pipeline(TINY)
    ways: dict[str, Callable[[Path], None]] = {
        "bare": lambda _: bare(pipeline, spec),
        "stage": lambda folder: stage(spec, folder),
        "usual": lambda folder: usual(pipeline, spec, folder),
    }
    told: list[Any] = []
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with listening(told.append):
        for turn in range(ROUNDS + 1):
            for name, work in ways.items():
                if turn or name != "usual":  # the first round loads and warms, and is dropped
                    took[name].append(timed(work))
    images = SHARDS * PER_SHARD * spec.per_caption
    clock = {name: statistics.median(seconds for seconds, _ in found[-ROUNDS:]) for name, found in took.items()}
    processor = {name: statistics.median(seconds for _, seconds in found[-ROUNDS:]) for name, found in took.items()}
    begun, *_, ended = [event for event in told if isinstance(event, Worked)]
    busy = (ended.busy_seconds - begun.busy_seconds) / sum(seconds for seconds, _ in took["stage"][-ROUNDS:])
    figures = {
        "benchmark": "images",
        "model": TINY.name,
        "images": images,
        "steps": spec.steps,
        "batch": spec.batch_size,
        "threads": torch.get_num_threads(),
    }
    rates = {f"{name}_per_second": round(images / seconds, 2) for name, seconds in clock.items()}
    ratios = {
        "ratio": round(clock["bare"] / clock["stage"], 3),
        "cpu_ratio": round(processor["bare"] / processor["stage"], 3),
        "times_the_usual": round(clock["usual"] / clock["stage"], 2),
        "engine_busy": round(busy, 3),
    }
    print(json.dumps(figures | rates | ratios), flush=True)


if __name__ == "__main__":
    main()
