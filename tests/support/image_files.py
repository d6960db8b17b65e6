"""Encoded images for data sets: small, and of whatever kind a user may have."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(stream, kind, **options)
    return stream.getvalue()


def drawn(shade: int, size: tuple[int, int] = (24, 16), kind: str = "PNG") -> bytes:
    """Of two colours, so that it is no constant image."""
    image = Image.new("RGB", size, (shade, 255 - shade, 128))
    image.paste((255 - shade, shade, 0), (0, 0, size[0] // 2, size[1]))
    return encoded(image, kind)


def tiff(values: bytes, side: int, bits: int, photometric: int) -> bytes:
    """A grey TIFF of one strip, as Pillow cannot write it: 12 bits a pixel, or 0 for white."""
    tags = [
        (256, side),
        (257, side),
        (258, bits),
        (259, 1),
        (262, photometric),
        (277, 1),
        (278, side),
        (279, len(values)),
    ]
    offset = 8 + 2 + 12 * (len(tags) + 1) + 4
    entries = sorted([*tags, (273, offset)])
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4) + values


def image_folder(path: Path, classes: tuple[str, ...] = ("cat", "dog"), train: int = 4, test: int = 2) -> Path:
    """`<split>/<class>/<number>.jpg`, so many of each class."""
    for split, count in (("train", train), ("test", test)):
        for shade, label in enumerate(classes):
            here = path / split / label
            here.mkdir(parents=True)
            for number in range(count):
                (here / f"{number}.jpg").write_bytes(drawn(90 * shade + number, kind="JPEG"))
    return path
