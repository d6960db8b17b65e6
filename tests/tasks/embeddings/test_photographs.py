"""The photographs that ship as benchmarks: what they show, whose they are, and how they are cut into fifths."""

import hashlib
import io
import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from data_specs.specs.embeddings import PhotographBenchmark
from tasks.embeddings.photographs import FIFTHS, FOLDER, PhotographSet, photographs_of
from tasks.scores.folds import held_out_groups

CELLS: dict[PhotographBenchmark, int] = {"photographs": 96, "clothes": 28}


@pytest.mark.parametrize("name", CELLS)
def test_every_image_is_in_exactly_one_part_and_one_fifth(name: PhotographBenchmark) -> None:
    images = [image for part in range(4) for image in photographs_of(PhotographSet(name, 0), part, 4)]
    index = json.loads((FOLDER / f"{name}.json").read_text())
    assert len({image.id for image in images}) == len(images) == len(index["images"])
    assert Counter(label for image in images for label in image.labels) == Counter(
        image["label"] for image in index["images"]
    )
    of_class = Counter((image.labels, image.group) for image in images)
    for labels in {image.labels for image in images}:
        sizes = [of_class[labels, f"fifth-{number + 1}"] for number in range(FIFTHS)]
        assert min(sizes) >= 2 and max(sizes) - min(sizes) <= 1
    tested = [
        row for fold in held_out_groups([image.group for image in images], [0] * len(images), 0) for row in fold.test
    ]
    assert sorted(tested) == list(range(len(images)))


@pytest.mark.parametrize(("name", "side"), CELLS.items())
def test_images_are_cut_where_they_lie_on_the_sheet(name: PhotographBenchmark, side: int) -> None:
    first, second = list(photographs_of(PhotographSet(name, 0), 0, 1))[:2]
    sheet = np.asarray(Image.open(FOLDER / f"{name}.webp").convert("RGB"))
    for number, image in enumerate((first, second)):
        pixels = np.asarray(Image.open(io.BytesIO(image.data)))
        assert (pixels == sheet[:side, number * side : (number + 1) * side]).all()
        assert hashlib.sha256(image.data).hexdigest() == image.sha256


def test_another_seed_cuts_other_fifths_of_the_same_images() -> None:
    one, other = (
        {image.id: image.group for image in photographs_of(PhotographSet("photographs", seed), 0, 1)} for seed in (0, 1)
    )
    assert one.keys() == other.keys() and one != other
    again = {image.id: image.group for image in photographs_of(PhotographSet("photographs", 0), 0, 1)}
    assert again == one


def test_every_photograph_names_its_author_its_source_and_a_licence_that_lets_it_ship() -> None:
    index = json.loads((FOLDER / "photographs.json").read_text())
    for image in index["images"]:
        assert image["author"] and image["source"].startswith("https://")
        assert image["licence"] in ("CC0-1.0", "public domain")
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 3_000_000
