"""Measure images a second through the images stage, against a bare loop over the same pipeline and against the usual script.

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
from functools import partial
from pathlib import Path

import torch

from benchmarks.captions_for_images import rule_captions
from data_specs.caption import CONTRACT
from data_specs.ids import Lineage, image_seed
from data_specs.specs.images import ImagesSpec
from data_specs.stage import Stage
from flows.runs.recipes import resolve_recipe
from models.renderer.build import TINY
from tasks.bundles import Work
from tasks.events import Emit, Event, Worked
from tasks.images.render import ImageInputs, render_here
from tasks.shards import make_shard
from tiny_renderer.networks import Pipeline, load_pipeline

SHARDS, PER_SHARD = 2, 32
ROUNDS = 3


def bare(pipeline: Pipeline, spec: ImagesSpec) -> None:
    assert spec.batch_size  # the tiny recipe's, so that both sides make the same batches
    prompts = [(about, copy) for about in rule_captions(SHARDS * PER_SHARD) for copy in range(spec.per_caption)]
    for start in range(0, len(prompts), spec.batch_size):
        batch = prompts[start : start + spec.batch_size]
        pipeline(
            prompt=[about.text for about, _ in batch],
            generator=[torch.Generator().manual_seed(image_seed(0, about.id, copy)) for about, copy in batch],
            num_inference_steps=spec.steps,
            guidance_scale=spec.guidance_scale,
            output_type="np",
        )


def usual(pipeline: Pipeline, spec: ImagesSpec, folder: Path) -> None:
    for copy in range(spec.per_caption):
        for about in rule_captions(SHARDS * PER_SHARD):
            [image] = pipeline(
                prompt=about.text,
                generator=torch.Generator().manual_seed(image_seed(0, about.id, copy)),
                num_inference_steps=spec.steps,
                guidance_scale=spec.guidance_scale,
            ).images
            image.save(folder / f"{about.id}-{copy}.jpg", quality=spec.quality)


def staged(spec: ImagesSpec, emit: Emit, folder: Path) -> None:
    captions, images = (
        Stage(name=name, lineage=Lineage("a"), folder=str(folder / name), count=SHARDS, facts={})
        for name in ("captions", "images")
    )
    for address in captions.shards():
        part = rule_captions(SHARDS * PER_SHARD)[address.index * PER_SHARD : (address.index + 1) * PER_SHARD]
        make_shard(address, CONTRACT, part.copy)
    render_here(Work(images, tuple(range(SHARDS)), spec, ImageInputs(captions, None), seed=0), emit=emit)


def timed(work: Callable[[Path], None]) -> tuple[float, float]:
    """Seconds of the clock, and of this process on any core."""
    with tempfile.TemporaryDirectory() as folder:
        clock, processor = time.perf_counter(), time.process_time()
        work(Path(folder))
        return time.perf_counter() - clock, time.process_time() - processor


def main() -> None:
    spec = resolve_recipe("tiny").images
    pipeline = load_pipeline(TINY)
    events: list[Event] = []
    ways: dict[str, Callable[[Path], None]] = {
        "bare": lambda _: bare(pipeline, spec),
        "stage": partial(staged, spec, events.append),
        "usual": partial(usual, pipeline, spec),
    }
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, work in ways.items():
            if number or name != "usual":  # the first round loads and warms, and is dropped
                took[name].append(timed(work))
    images = SHARDS * PER_SHARD * spec.per_caption
    clock = {name: statistics.median(seconds for seconds, _ in found[-ROUNDS:]) for name, found in took.items()}
    processor = {name: statistics.median(seconds for _, seconds in found[-ROUNDS:]) for name, found in took.items()}
    begun, *_, ended = [event for event in events if isinstance(event, Worked)]
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
