"""Pictures per second through the images room, against a bare loop over the same pipeline, batch, steps and dtype."""

import json
import statistics
import tempfile
import time

import torch

from benchmarks.captions_for_images import captions
from data_specs import caption as caption_record
from data_specs.ids import image_seed
from data_specs.run import ImagesSpec
from data_specs.shard import ShardAddress
from flows.recipes import resolve
from models.renderer.build import TINY, identify_renderer
from models.renderer.diffusion import DiffusionRenderer
from models.renderer.layout import look
from models.renderer.loading import load_pipeline
from tasks.images.render import render_shard
from tasks.shards import make_shard

CAPTIONS = 32
ROUNDS = 3


def bare(pipeline: object, spec: ImagesSpec) -> float:
    """What a person writes first: batches of prompts through the pipeline, pictures thrown away."""
    prompts = [(about, copy) for about in captions(CAPTIONS) for copy in range(spec.per_caption)]
    started = time.perf_counter()
    for start in range(0, len(prompts), spec.batch_size):
        batch = prompts[start : start + spec.batch_size]
        pipeline(  # type: ignore[operator]
            prompt=[about.text for about, _ in batch],
            generator=[torch.Generator().manual_seed(image_seed(0, about.id, copy)) for about, copy in batch],
            num_inference_steps=spec.steps,
            guidance_scale=spec.guidance_scale,
            output_type="pil",
        )
    return time.perf_counter() - started


def room(renderer: DiffusionRenderer, spec: ImagesSpec, folder: str) -> float:
    """The room's whole work on one shard: read, draw, check, encode, hash, write, seal."""
    source = ShardAddress(folder=f"{folder}/captions", room="captions", lineage="a", index=0)
    make_shard(source, caption_record.CONTRACT, lambda: captions(CAPTIONS))
    target = ShardAddress(folder=f"{folder}/images", room="images", lineage="b", index=0)
    started = time.perf_counter()
    render_shard(source, None, target, renderer, spec, seed=0)
    return time.perf_counter() - started


def main() -> None:
    spec = resolve("tiny", {"images": {"batch_size": 32}}).images
    renderer = DiffusionRenderer(str(TINY), identify_renderer(spec), spec)
    pipeline = load_pipeline(str(TINY), look(str(TINY), None), (), spec)
    times: dict[str, list[float]] = {"bare": [], "room": []}
    for _ in range(ROUNDS + 1):  # the first round warms caches and is dropped
        times["bare"].append(bare(pipeline, spec))
        with tempfile.TemporaryDirectory() as folder:
            times["room"].append(room(renderer, spec, folder))
    pictures = CAPTIONS * spec.per_caption
    rates = {name: pictures / statistics.median(found[1:]) for name, found in times.items()}
    figures = {"benchmark": "images", "pictures": pictures, "steps": spec.steps, "batch": spec.batch_size}
    rates_shown = {f"{name}_per_second": round(rate, 2) for name, rate in rates.items()}
    print(json.dumps(figures | rates_shown | {"ratio": round(rates["room"] / rates["bare"], 3)}), flush=True)


if __name__ == "__main__":
    main()
