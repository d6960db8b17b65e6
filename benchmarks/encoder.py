"""Measure one training step against a plain transcription of the reference's on the same crops, weights and threads.

Ours is timed as in the encoder stage, from decoded images on; the transcription gets crops that are cut already, as its loader
would hand them over. What cutting takes is given apart. `python -m benchmarks.encoder [FOLDER]`: the images stage of a run,
else noise.
"""

import json
import statistics
import sys
import tempfile
import time
from typing import Any

import torch

from benchmarks.images_for_encoders import image_stage
from benchmarks.reference_step import ReferenceCrops, ReferenceObjective, reference_step
from data_specs.ids import seed_of
from data_specs.specs.encoder import EncoderSpec
from flows.runs.recipes import resolve_recipe
from models.encoder.batch import Crops, ImageBatch, make_crops
from models.encoder.draws import Draws
from models.encoder.training import EncoderTraining, schedules
from tasks.encoder.loader import StepBatches

WARM, ROUNDS = 2, 8


def crops_of_step(images: ImageBatch, spec: EncoderSpec, number: int) -> Crops:
    """As the training cuts them in step `number`."""
    generator = torch.Generator().manual_seed(seed_of("encoder", "step", 0, number, 0))
    return make_crops(images, spec, Draws(generator, len(images.images_I)))


def as_reference(crops: Crops, spec: EncoderSpec) -> ReferenceCrops:
    """Ours are (crop,) caption, image slot; the reference's image slot, (crop,) caption."""
    captions, images, count = spec.captions_per_step, spec.images_per_caption, spec.local_crops
    wide = torch.arange(captions * images).reshape(captions, images).T.flatten()
    narrow = torch.arange(count * captions * images).reshape(count, captions, images).permute(2, 0, 1).flatten()
    return ReferenceCrops(crops.global_N3SS[wide], crops.local_M3SS[narrow], crops.masks_NP[wide])


def main() -> None:
    # The reference has a patch stem, and every term of the tiny recipe.
    spec = EncoderSpec.model_validate(resolve_recipe("tiny").encoder.model_dump() | {"stem": "patch"})
    of_run = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as empty:
        batches = StepBatches(image_stage(of_run, empty), spec, 0)
        steps = [batches[number] for number in range(WARM + ROUNDS)]
    training, reference = EncoderTraining(spec, 0), ReferenceObjective(spec)
    reference.load_state_dict(training.objective.state_dict())
    crops = crops_of_step(steps[0], spec, 0)
    expected, found = training.objective(crops, 0.04), reference(as_reference(crops, spec), 0.04)
    apart = max(abs(float((found[name] - expected[name]).detach())) for name in expected)
    optimizer = torch.optim.AdamW([p for p in reference.parameters() if p.requires_grad], betas=spec.betas)
    times: dict[str, list[float]] = {"ours": [], "cutting": [], "reference": []}
    for number, images in enumerate(steps):
        started = time.perf_counter()
        training.advance([images])
        times["ours"].append(time.perf_counter() - started)
        started = time.perf_counter()
        crops = crops_of_step(images, spec, number)
        times["cutting"].append(time.perf_counter() - started)
        ready = as_reference(crops, spec)
        started = time.perf_counter()
        reference_step(reference, optimizer, ready, schedules(spec, number))
        times["reference"].append(time.perf_counter() - started)
    ms = {name: 1000 * statistics.median(found[WARM:]) for name, found in times.items()}
    figures: dict[str, Any] = {"benchmark": "encoder", "images": "of a run" if of_run else "noise"}
    figures |= {"threads": torch.get_num_threads(), "losses_apart": float(f"{apart:.2g}")}
    figures |= {f"{name}_ms": round(value, 1) for name, value in ms.items()}
    ratios = {
        "ratio_with_cutting": round(ms["ours"] / ms["reference"], 3),
        "ratio_without": round((ms["ours"] - ms["cutting"]) / ms["reference"], 3),
    }
    print(json.dumps(figures | ratios), flush=True)


if __name__ == "__main__":
    main()
