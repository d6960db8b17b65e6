"""Read the benchmarks that ship as photographs; nothing that generates or trains ever opens them.

`photographs`: fish, monuments, tools, windmills and things in the house, all in the public domain or CC0. `clothes`: 40 images
of each class of Fashion-MNIST (Xiao et al. 2017, MIT), 28 pixels in grey. A seed cuts each class into fifths, and a probe is
tested on every fifth in turn.
"""

import hashlib
import io
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from data_specs.benchmark_image import BenchmarkImage
from data_specs.ids import digest, seed_of
from data_specs.json_text import parse_json
from data_specs.specs.embeddings import PhotographBenchmark

VERSION = 1
"""Incremented when other images would be sealed for the same name and seed."""
FIFTHS = 5
FOLDER = Path(__file__).resolve().parents[2] / "data_specs" / "photographs"


@dataclass(frozen=True, slots=True)
class PhotographSet:
    """Photographs that ship, as one seed cuts them into fifths."""

    name: PhotographBenchmark
    seed: int


def photographs_of(found: PhotographSet, part: int, parts: int) -> Iterator[BenchmarkImage]:
    """Every `parts`-th image from `part` on, at the size at which it ships."""
    index = parse_json((FOLDER / f"{found.name}.json").read_text(encoding="utf-8"))
    sheet = Image.open(FOLDER / f"{found.name}.webp").convert("RGB")
    labels = [image["label"] for image in index["images"]]
    fifths = _fifths(found, labels)
    cell, columns = index["cell"], index["columns"]
    for number in range(part, len(labels), parts):
        left, top = number % columns * cell, number // columns * cell
        stream = io.BytesIO()
        sheet.crop((left, top, left + cell, top + cell)).save(stream, "PNG")
        data = stream.getvalue()
        yield BenchmarkImage(
            id=digest("photograph", found.name, number),
            benchmark=found.name,
            group=f"fifth-{fifths[number] + 1}",
            labels=(labels[number],),
            category="",
            copy=0,
            seed=found.seed,
            constant=False,
            sha256=hashlib.sha256(data).hexdigest(),
            data=data,
        )


def _fifths(found: PhotographSet, labels: list[str]) -> list[int]:
    """Which fifth each image is of; every class is spread over all of them as evenly as it can be."""
    of_class: dict[str, list[int]] = defaultdict(list)
    for number, label in enumerate(labels):
        of_class[label].append(number)
    fifths = [0] * len(labels)
    for label, numbers in of_class.items():
        random.Random(seed_of("fifths", found.name, found.seed, label)).shuffle(numbers)
        for place, number in enumerate(numbers):
            fifths[number] = place % FIFTHS
    return fifths
