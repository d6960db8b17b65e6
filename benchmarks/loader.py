"""Pictures per second from image shards to crops, against WebDataset with crops cut by Pillow sample by sample."""

import json
import statistics
import sys
import tempfile
import time

import torch

from benchmarks.images_for_encoders import image_shards
from benchmarks.plain_crops import batches
from data_specs.ids import seed_of
from data_specs.run import EncoderSpec
from data_specs.shard import ShardAddress
from flows.runs.recipes import resolve
from models.encoder.batch import cut
from models.encoder.draws import Draws
from tasks.encoder.loader import Batches, load

ROUNDS = 3


def plain(tars: list[str], spec: EncoderSpec) -> tuple[float, int]:
    """Seconds of one pass, and pictures in it."""
    started, count = time.perf_counter(), 0
    for wide, _ in batches(tars, spec):
        count += len(wide)
    return time.perf_counter() - started, count


def ours(loader: Batches, first: int, spec: EncoderSpec) -> tuple[float, int]:
    """The same, from batch `first` on; what is random in a batch follows from its number."""
    store, _ = loader.opened()
    numbers, count = range(first, first + sum(store.counts) // spec.captions_per_step), 0
    started = time.perf_counter()
    for number, batch in zip(numbers, load(loader, numbers, 0), strict=True):
        generator = torch.Generator().manual_seed(seed_of("benchmark", number))
        cut(batch, spec, Draws(generator, len(batch.images_I)))
        count += len(batch.images_I)
    return time.perf_counter() - started, count


def rates(sources: list[ShardAddress], spec: EncoderSpec) -> dict[str, float]:
    tars = [f"{source.folder}/{source.stem}.tar" for source in sources]
    found: dict[str, list[float]] = {"plain": [], "first_pass": [], "later_passes": []}
    for _ in range(ROUNDS):
        seconds, count = plain(tars, spec)
        found["plain"].append(count / seconds)
        loader = Batches(sources, spec, 0)
        seconds, count = ours(loader, 0, spec)  # shards are read, pictures decoded
        found["first_pass"].append(count / seconds)
        seconds, count = ours(loader, count // spec.captions_per_step // spec.images_per_caption, spec)
        found["later_passes"].append(count / seconds)
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> None:
    torch.set_num_threads(1)  # Pillow has one
    spec = resolve("tiny").encoder
    with tempfile.TemporaryDirectory() as empty:
        found = rates(image_shards(empty), spec)
    figures = {"benchmark": "loader", "pictures": "of a run" if len(sys.argv) > 1 else "noise", "threads": 1}
    figures |= {f"{name}_pictures_per_second": round(rate, 1) for name, rate in found.items()}
    ratios = {f"ratio_{name}": round(found[name] / found["plain"], 3) for name in ("first_pass", "later_passes")}
    print(json.dumps(figures | ratios), flush=True)


if __name__ == "__main__":
    main()
