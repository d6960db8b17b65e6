"""Seconds of one training step, against a plain transcription of the reference's on the same crops, weights and threads.

Ours is timed as the room takes it, from decoded pictures on; the transcription gets crops that are cut already, as its loader
would hand them over. What cutting takes is told apart.
"""

import json
import statistics
import sys
import tempfile
import time

import torch

from benchmarks.images_for_encoders import image_shards
from benchmarks.reference_step import Reference, ReferenceCrops, step
from data_specs.ids import seed_of
from data_specs.run import EncoderSpec
from flows.runs.recipes import resolve
from models.encoder.batch import Crops, Pictures, cut
from models.encoder.draws import Draws
from models.encoder.training import Training, schedules
from tasks.encoder.loader import Batches

WARM, ROUNDS = 2, 8


def drawn(pictures: Pictures, spec: EncoderSpec, number: int) -> Crops:
    generator = torch.Generator().manual_seed(seed_of("encoder", "step", 0, number, 0))
    return cut(pictures, spec, Draws(generator, len(pictures.images_I)))


def as_reference(crops: Crops, spec: EncoderSpec) -> ReferenceCrops:
    """Ours are (crop,) caption, image slot; the reference's image slot, (crop,) caption."""
    captions, images, count = spec.captions_per_step, spec.images_per_caption, spec.local_crops
    wide = torch.arange(captions * images).reshape(captions, images).T.flatten()
    narrow = torch.arange(count * captions * images).reshape(count, captions, images).permute(2, 0, 1).flatten()
    return ReferenceCrops(crops.global_N3SS[wide], crops.local_M3SS[narrow], crops.masks_NP[wide])


def main() -> None:
    # The reference has a patch stem, and every term of the tiny recipe.
    spec = EncoderSpec.model_validate(resolve("tiny").encoder.model_dump() | {"stem": "patch"})
    with tempfile.TemporaryDirectory() as empty:
        batches = Batches(image_shards(empty), spec, 0)
        shown = [batches[number] for number in range(WARM + ROUNDS)]
    training, reference = Training(spec, 0), Reference(spec)
    reference.load_state_dict(training.objective.state_dict())
    crops = drawn(shown[0], spec, 0)
    expected, found = training.objective(crops, 0.04), reference(as_reference(crops, spec), 0.04)
    apart = max(abs(float((found[name] - expected[name]).detach())) for name in expected)
    optimizer = torch.optim.AdamW([p for p in reference.parameters() if p.requires_grad], betas=spec.betas)
    times: dict[str, list[float]] = {"ours": [], "cutting": [], "reference": []}
    for number, pictures in enumerate(shown):
        started = time.perf_counter()
        training.advance([pictures])
        times["ours"].append(time.perf_counter() - started)
        started = time.perf_counter()
        crops = drawn(pictures, spec, number)
        times["cutting"].append(time.perf_counter() - started)
        ready = as_reference(crops, spec)
        started = time.perf_counter()
        step(reference, optimizer, ready, schedules(spec, number))
        times["reference"].append(time.perf_counter() - started)
    ms = {name: 1000 * statistics.median(found[WARM:]) for name, found in times.items()}
    figures = {"benchmark": "encoder", "pictures": "of a run" if len(sys.argv) > 1 else "noise"}
    figures |= {"threads": torch.get_num_threads(), "losses_apart": float(f"{apart:.2g}")}
    figures |= {f"{name}_ms": round(value, 1) for name, value in ms.items()}
    ratios = {
        "ratio_with_cutting": round(ms["ours"] / ms["reference"], 3),
        "ratio_without": round((ms["ours"] - ms["cutting"]) / ms["reference"], 3),
    }
    print(json.dumps(figures | ratios), flush=True)


if __name__ == "__main__":
    main()
