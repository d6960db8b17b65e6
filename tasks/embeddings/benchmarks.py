"""The benchmarks of the Tiny World: a benchmark's name, a seed and a part enter, labelled pictures leave.

`styles`: every concept by every artist the generator never saw. `training_styles`: the same concepts by the artists it
learned from, in fresh scenes. Scenes show a concept alone in a place that is plausible for it; seeds are the evaluation's own.
"""

import hashlib
import io
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from data_specs.ids import digest, seed_of
from data_specs.picture import Picture
from tasks.tiny_world.scenes import Scene, draw
from tasks.tiny_world.sprites import Sheets, evaluation_sheets, training_sheets
from tasks.tiny_world.world import WorldConcept, read_world

Name = Literal["styles", "training_styles"]
VERSION = 1
"""Raised when other pictures would be drawn for the same name and seed."""
SIZE = 64
PARTS = 4
"""Shards a benchmark is drawn in, so that processes can share the work."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`copies` are renders of each concept in each style."""

    name: Name
    seed: int
    copies: int


def benchmark_of(name: Name, seed: int, copies: int) -> Benchmark:
    """Five training styles at half the copies are about as many pictures as three evaluation styles."""
    return Benchmark(name, seed, copies if name == "styles" else max(2, copies // 2))


def lineage(benchmark: Benchmark) -> str:
    return digest("benchmark", VERSION, benchmark.name, benchmark.seed, benchmark.copies, SIZE)


def sheets(name: Name) -> Sheets:
    return evaluation_sheets() if name == "styles" else training_sheets()


def draw_part(benchmark: Benchmark, part: int) -> Iterator[Picture]:
    """Every `PARTS`-th concept from `part` on, in all styles and copies."""
    art = sheets(benchmark.name)
    for concept in read_world().concepts[part::PARTS]:
        for style in sorted(art):
            if concept.name in art[style]:
                for copy in range(benchmark.copies):
                    yield _picture(benchmark, concept, art, style, copy)


def _picture(benchmark: Benchmark, concept: WorldConcept, art: Sheets, style: str, copy: int) -> Picture:
    about = (benchmark.name, benchmark.seed, concept.name, style, copy)
    seed = seed_of("benchmark", *about)
    place = random.Random(seed_of("benchmark place", *about)).choice(concept.backgrounds)
    stream = io.BytesIO()
    draw(Scene(style, concept.name, place), art, seed, SIZE).save(stream, "PNG")
    data = stream.getvalue()
    return Picture(
        id=digest("picture", *about),
        benchmark=benchmark.name,
        group=style,
        label=concept.name,
        category=concept.category,
        copy=copy,
        seed=seed,
        sha256=hashlib.sha256(data).hexdigest(),
        data=data,
    )
