"""A renderer's folder enters; pictures a second leave, drawn as the tiny recipe draws: engines side by side, settings its own.

``python -m benchmarks.tiny_renderer.speed [--model DIR] [--captions 64]``. Loading and the first batch are not counted,
nor is what the room does with a picture afterwards: for that see ``python -m benchmarks images``.
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
from data_specs.run import ImagesSpec
from flows.runs.recipes import resolve
from models.renderer.build import build_renderer
from models.renderer.protocol import Drawing
from tasks.engines import EngineProcess, loaded


def draw(spec: ImagesSpec, texts: Sequence[str]) -> int:
    """In an engine's process: draw every text as often as the recipe says; return how many pictures that were."""
    drawings = [Drawing(text, seed_of("speed", text, copy)) for text in texts for copy in range(spec.per_caption)]
    return len(loaded(build_renderer, spec).render(drawings))


def pictures_per_second(spec: ImagesSpec, texts: Sequence[str], engines: int, threads: int) -> float:
    """Split ``texts`` among engine processes that are loaded and warm, and draw them all at once."""
    parts = [texts[number::engines] for number in range(engines)]
    with ExitStack() as stack:
        started = [stack.enter_context(EngineProcess(threads)) for _ in range(engines)]
        pool = stack.enter_context(ThreadPoolExecutor(engines))
        list(pool.map(lambda engine: engine.call(draw, spec, texts[: spec.batch_size // spec.per_caption]), started))
        clock = time.perf_counter()
        drawn = sum(pool.map(lambda engine, part: engine.call(draw, spec, part), started, parts))
        return drawn / (time.perf_counter() - clock)


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a Stable Diffusion folder; the shipped one unless named")
    parser.add_argument("--captions", type=int, default=64)
    arguments = parser.parse_args()
    recipe = resolve("tiny")
    spec = recipe.images.model_copy(update={"model": str(arguments.model)}) if arguments.model else recipe.images
    engines, cores = recipe.execution.workers, os.cpu_count() or 1
    threads = max(1, cores // engines)
    texts = [f"A dog on the beach, number {number}." for number in range(arguments.captions)]
    load = os.getloadavg()[0]
    told = {
        "figure": "speed",
        "pictures_per_second": round(pictures_per_second(spec, texts, engines, threads), 2),
        "pictures": len(texts) * spec.per_caption,
        "steps": spec.steps,
        "guidance": spec.guidance_scale,
        "engines": engines,
        "threads_each": threads,
        "cores": cores,
        "load_before": round(load, 1),
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
