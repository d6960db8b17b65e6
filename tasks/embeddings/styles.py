"""The benchmarks of the Tiny World: a drawing and a part of it enter, labelled pictures leave.

`styles`: every concept by every artist the generator never saw. `training_styles`: the same concepts by the artists it
learned from, in fresh scenes. Scenes show a concept alone in a place that is plausible for it; seeds are the evaluation's own.
"""

import hashlib
import io
import random
from collections.abc import Iterator
from dataclasses import dataclass

from data_specs.benchmark_image import Picture
from data_specs.ids import digest, seed_of
from data_specs.run import TinyWorldBenchmark
from models.tiny_world.scenes import Scene, draw
from models.tiny_world.sprites import Sheets, evaluation_sheets, training_sheets
from models.tiny_world.world import WorldConcept, read_world

VERSION = 1
"""Raised when other pictures would be drawn for the same name and seed."""
SIZE = 64


@dataclass(frozen=True, slots=True)
class Drawing:
    """`copies` are renders of each concept in each style."""

    name: TinyWorldBenchmark
    seed: int
    copies: int


def drawing_of(name: TinyWorldBenchmark, seed: int, copies: int) -> Drawing:
    """Five training styles at half the copies are about as many pictures as three evaluation styles."""
    return Drawing(name, seed, copies if name == "styles" else max(2, copies // 2))


def sheets(name: TinyWorldBenchmark) -> Sheets:
    return evaluation_sheets() if name == "styles" else training_sheets()


def draw_part(drawing: Drawing, part: int, parts: int) -> Iterator[Picture]:
    """Every `parts`-th concept from `part` on, in all styles and copies."""
    art = sheets(drawing.name)
    for concept in read_world().concepts[part::parts]:
        for style in sorted(art):
            if concept.name in art[style]:
                for copy in range(drawing.copies):
                    yield _picture(drawing, concept, art, style, copy)


def _picture(drawing: Drawing, concept: WorldConcept, art: Sheets, style: str, copy: int) -> Picture:
    about = (drawing.name, drawing.seed, concept.name, style, copy)
    seed = seed_of("benchmark", *about)
    place = random.Random(seed_of("benchmark place", *about)).choice(concept.backgrounds)
    stream = io.BytesIO()
    draw(Scene(style, concept.name, place), art, seed, SIZE).save(stream, "PNG")
    data = stream.getvalue()
    return Picture(
        id=digest("picture", *about),
        benchmark=drawing.name,
        group=style,
        labels=(concept.name,),
        category=concept.category,
        copy=copy,
        seed=seed,
        sha256=hashlib.sha256(data).hexdigest(),
        data=data,
    )
