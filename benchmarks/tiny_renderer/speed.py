"""Measure images a second of a renderer's folder, drawn as the tiny recipe draws: engines side by side, its settings.

``python -m benchmarks.tiny_renderer.speed [--model DIR] [--captions 64]``. Loading and the first batch are not counted,
nor is what the stage does with an image afterwards: for that see ``python -m benchmarks images``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from data_specs.ids import seed_of
from data_specs.specs.images import ImagesSpec
from flows.runs.recipes import resolve_recipe
from models.renderer.build import build_renderer
from models.renderer.protocol import RenderRequest
from tasks.engines import EngineProcess, loaded
from tasks.events import Emit, ignore

WARM_CAPTIONS = 8
"""Drawn by each engine before the clock starts: with four images each, a batch of the tiny recipe."""


def draw(spec: ImagesSpec, texts: Sequence[str], *, emit: Emit = ignore) -> int:
    """In an engine's process: draw every text as often as the recipe says; return how many images that were."""
    del emit  # every engine call brings it
    requests = [RenderRequest(text, seed_of("speed", text, copy)) for text in texts for copy in range(spec.per_caption)]
    return len(loaded(build_renderer, spec).render(requests))


def images_per_second(spec: ImagesSpec, texts: Sequence[str], engines: int, threads: int) -> float:
    """Split ``texts`` among engine processes that are loaded and warm, and draw them all at once."""
    parts = [texts[number::engines] for number in range(engines)]
    with ExitStack() as stack:
        started = [stack.enter_context(EngineProcess(threads)) for _ in range(engines)]
        pool = stack.enter_context(ThreadPoolExecutor(engines))
        list(pool.map(lambda engine: engine.call(draw, spec, texts[:WARM_CAPTIONS]), started))
        clock = time.perf_counter()
        drawn: int = sum(pool.map(lambda engine, part: engine.call(draw, spec, part), started, parts))
        return drawn / (time.perf_counter() - clock)


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a Stable Diffusion folder; the shipped one unless named")
    parser.add_argument("--captions", type=int, default=64)
    arguments = parser.parse_args()
    recipe = resolve_recipe("tiny")
    spec = recipe.images.model_copy(update={"model": str(arguments.model)}) if arguments.model else recipe.images
    engines, cores = recipe.execution.workers, os.cpu_count() or 1
    threads = max(1, cores // engines)
    texts = [f"A dog on the beach, number {number}." for number in range(arguments.captions)]
    load = os.getloadavg()[0]
    figures = {
        "figure": "speed",
        "images_per_second": round(images_per_second(spec, texts, engines, threads), 2),
        "images": len(texts) * spec.per_caption,
        "steps": spec.steps,
        "guidance": spec.guidance_scale,
        "engines": engines,
        "threads_each": threads,
        "cores": cores,
        "load_before": round(load, 1),
    }
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
