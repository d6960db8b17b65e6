"""Images of every kind become the RGB that a person sees, or are refused by name; no bytes end in an error."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_specs.benchmark_image import BenchmarkImage
from data_specs.rejection import Rejection
from data_specs.specs.embeddings import ImageFolder
from support.image_files import drawn, encoded, tiff
from tasks.embeddings.data_sets import prepare_image
from tasks.embeddings.pixels import as_rgb, is_constant, resize_and_crop
from tasks.embeddings.raw_sample import RawSample

GREY = np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8)
SOURCE = ImageFolder(name="pets", path="/", size=16)


def opened(data: bytes) -> np.ndarray:
    return np.asarray(as_rgb(Image.open(io.BytesIO(data))))


def prepared(data: bytes) -> BenchmarkImage | Rejection:
    return prepare_image(RawSample("a.png", "train", ("cat",), data), SOURCE)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_sixteen_bits_show_what_eight_show(kind: str) -> None:
    sixteen = opened(encoded(GREY.astype(np.uint16) * 257, kind))
    assert np.array_equal(sixteen, np.repeat(GREY[..., None], 3, 2))


def test_the_range_is_that_of_the_format() -> None:
    twelve = GREY.astype(np.uint16) * 16 + GREY // 16
    halves = twelve.reshape(-1, 2).astype(np.uint32)
    packed = (halves[:, 0] << 12) | halves[:, 1]
    stored = np.stack([packed >> 16, (packed >> 8) & 255, packed & 255], 1).astype(np.uint8).tobytes()
    assert np.array_equal(opened(tiff(stored, 16, 12, 1))[..., 0], GREY)
    inverted = (65535 - GREY.astype("<u2") * 257).tobytes()
    assert np.array_equal(opened(tiff(inverted, 16, 16, 0))[..., 0], GREY), "0 is white in this one"


def test_transparent_pixels_show_white_and_not_what_lies_beneath() -> None:
    over = np.zeros((16, 16, 4), np.uint8)
    over[:8] = (200, 10, 10, 255)
    over[8:12] = (0, 0, 0, 127)
    found = opened(encoded(over))
    assert (found[0, 0].tolist(), found[15, 0].tolist()) == ([200, 10, 10], [255, 255, 255])
    assert np.allclose(found[9, 0], 128, atol=1)
    grey = Image.fromarray(np.stack([GREY, np.zeros_like(GREY)], 2), "LA")
    assert opened(encoded(grey)).min() == 255
    palette = Image.fromarray(np.zeros((4, 4), np.uint8), "P")
    palette.putpalette([0, 0, 0, 9, 9, 9])
    assert opened(encoded(palette, transparency=0)).min() == 255
    assert opened(encoded(palette, "GIF", transparency=0)).min() == 255
    assert opened(encoded(Image.new("RGB", (4, 4)), transparency=(0, 0, 0))).min() == 255
    assert opened(encoded(palette)).max() == 0, "without transparency it stays black"


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
def test_other_images_are_as_pillow_converts_them(mode: str) -> None:
    image = Image.open(io.BytesIO(drawn(40))).convert(mode)
    data = encoded(image, "TIFF")
    assert np.array_equal(opened(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_numbers_without_a_black_and_a_white_are_refused_with_the_way_out(kind: type) -> None:
    found = prepared(
        encoded(GREY.astype(kind) / 255, "TIFF") if kind is np.float32 else encoded(GREY.astype(kind), "TIFF")
    )
    assert isinstance(found, Rejection)
    assert found.reason == "unknown_pixels" and "save it with 8 or 16 bits" in found.text


def test_images_of_one_colour_are_marked() -> None:
    blank, black, one_line = Image.new("RGB", (20, 20), (7, 8, 9)), Image.new("I;16", (20, 20)), drawn(3, (16, 16))
    marks = [found.constant for data in (encoded(blank), encoded(black), one_line)
             if isinstance(found := prepared(data), BenchmarkImage)]  # fmt: skip
    assert marks == [True, True, False]
    assert not is_constant(Image.fromarray(GREY)) and is_constant(Image.new("L", (2, 2), 4))


def test_a_long_line_of_pixels_needs_no_more_memory_than_a_square() -> None:
    line = Image.new("RGB", (60_000, 1))
    line.paste((255, 0, 0), (29_900, 0, 30_100, 1))
    assert np.asarray(resize_and_crop(line, 224, 224)).tolist()[100][100] == [255, 0, 0]
    assert resize_and_crop(Image.new("RGB", (1, 60_000)), 256, 224).size == (224, 224)


def test_whatever_bytes_there_are_they_are_an_image_or_a_reject_with_a_reason() -> None:
    generator, colours = random.Random(0), np.stack([GREY, GREY.T, 255 - GREY], 2)
    whole = [
        encoded(colours, kind)
        for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "TGA", "PPM", "ICO", "JPEG2000")
    ]
    whole += [encoded(GREY.astype(np.uint16) * 257), encoded(GREY.astype(np.uint16), "TIFF")]
    kinds = set()
    for number in range(240):
        data = bytearray(whole[number % len(whole)])
        for _ in range(1 + number % 5):
            data[generator.randrange(len(data))] = generator.randrange(256)
        cut = bytes(data[: generator.randrange(len(data))] if number % 3 == 0 else data)
        found = prepared(cut)
        kinds.add(found.reason if isinstance(found, Rejection) else "image")
    assert kinds >= {"image", "unreadable"} and kinds <= {"image", "unreadable", "unknown_pixels"}


def test_a_file_is_read_as_an_image_whatever_its_name_says(tmp_path: Path) -> None:
    assert isinstance(prepared(drawn(1, kind="WEBP")), BenchmarkImage)
    assert isinstance(prepared(b"<html>404</html>"), Rejection)
