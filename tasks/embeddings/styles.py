"""Draw the benchmarks of the Tiny World, images of known class.

`styles`: every concept by every artist that the renderer was never trained on. `training_styles`: the same concepts by the
artists that it was trained on, in fresh scenes. A scene shows one concept in a plausible place; seeds are the evaluation's own.
"""

import hashlib
import io
import random
from collections.abc import Iterator
from dataclasses import dataclass

from data_specs.benchmark_image import BenchmarkImage
from data_specs.ids import digest, seed_of
from data_specs.specs.embeddings import TinyWorldBenchmark
from models.tiny_world.scenes import Scene, draw
from models.tiny_world.sprites import Sheets, evaluation_sheets, training_sheets
from models.tiny_world.world import WorldConcept, read_world

VERSION = 1
"""Incremented when other images would be drawn for the same name and seed."""
SIZE = 64


@dataclass(frozen=True, slots=True)
class BenchmarkDrawing:
    """A Tiny World benchmark as one seed draws it, with `copies` images of each concept in each style."""

    name: TinyWorldBenchmark
    seed: int
    copies: int


def drawing_of(name: TinyWorldBenchmark, seed: int, copies: int) -> BenchmarkDrawing:
    """Five training styles at half the copies are about as many images as three evaluation styles."""
    return BenchmarkDrawing(name, seed, copies if name == "styles" else max(2, copies // 2))


def sheets(name: TinyWorldBenchmark) -> Sheets:
    return evaluation_sheets() if name == "styles" else training_sheets()


def draw_part(drawing: BenchmarkDrawing, part: int, parts: int) -> Iterator[BenchmarkImage]:
    """Draw every `parts`-th concept from `part` on, in all styles and copies."""
    art = sheets(drawing.name)
    for concept in read_world().concepts[part::parts]:
        for style in sorted(art):
            if concept.name in art[style]:
                for copy in range(drawing.copies):
                    yield _image(drawing, concept, art, style, copy)


def _image(drawing: BenchmarkDrawing, concept: WorldConcept, art: Sheets, style: str, copy: int) -> BenchmarkImage:
    about = (drawing.name, drawing.seed, concept.name, style, copy)
    seed = seed_of("benchmark", *about)
    place = random.Random(seed_of("benchmark place", *about)).choice(concept.backgrounds)
    stream = io.BytesIO()
    draw(Scene(style, concept.name, place), art, seed, SIZE).save(stream, "PNG")
    data = stream.getvalue()
    return BenchmarkImage(
        id=digest("picture", *about),
        benchmark=drawing.name,
        group=style,
        labels=(concept.name,),
        category=concept.category,
        copy=copy,
        seed=seed,
        constant=False,
        sha256=hashlib.sha256(data).hexdigest(),
        data=data,
    )
