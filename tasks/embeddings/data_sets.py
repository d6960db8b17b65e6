"""A data set of the recipe enters; its pictures leave as benchmark pictures, each of one size, or as rejections.

Preparation as in SynCLR appendix B.5: the shorter side resampled (bicubic), the centre cut out, nothing augmented, no
EXIF rotation. Stored as PNG, so that nothing more is lost.
"""

import hashlib
import io
import struct
from collections.abc import Iterator

from PIL import Image

from data_specs.benchmark_image import Picture
from data_specs.ids import digest
from data_specs.rejection import Rejection
from data_specs.run import DataSet, HuggingFaceImages, ImageFolder, ImageShards, OwnBenchmark
from tasks.embeddings import hugging_face, image_folders, image_shards
from tasks.embeddings.raw_sample import Shown

UNREADABLE = (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for files that are cut off, damaged or no pictures."""


def fingerprint(source: OwnBenchmark) -> str:
    """Changes with what the data set holds. Raises SpecError for one that is not there, or not as it should be."""
    match source:
        case ImageFolder():
            return image_folders.fingerprint(source)
        case HuggingFaceImages():
            return hugging_face.fingerprint(source)
        case ImageShards():
            return image_shards.fingerprint(source)


def admitted(source: OwnBenchmark, part: int, parts: int) -> Iterator[Picture | Rejection]:
    """A `parts`-th of the data set; every picture is accepted or refused."""
    match source:
        case ImageFolder():
            found = image_folders.shown(source, part, parts)
        case HuggingFaceImages():
            found = hugging_face.shown(source, part, parts)
        case ImageShards():
            found = image_shards.shown(source, part, parts)
    for one in found:
        yield one if isinstance(one, Rejection) else admit(one, source)


def admit(shown: Shown, source: DataSet) -> Picture | Rejection:
    try:
        with Image.open(io.BytesIO(shown.data)) as opened:
            square = centre(opened.convert("RGB"), source.resize or source.size, source.size)
    except UNREADABLE as error:
        return Rejection(shown.key, "unreadable", str(error)[:200])
    stream = io.BytesIO()
    square.save(stream, "PNG")
    data = stream.getvalue()
    return Picture(
        id=digest("picture", source.name, shown.key),
        benchmark=source.name,
        group=shown.group,
        labels=shown.labels,
        category="",
        copy=0,
        seed=0,
        sha256=hashlib.sha256(data).hexdigest(),
        data=data,
    )


def centre(picture: Image.Image, resize: int, size: int) -> Image.Image:
    """The shorter side becomes `resize`, of which the middle square of `size` is cut out."""
    width, height = picture.size
    short = min(width, height)
    wide, high = max(resize, resize * width // short), max(resize, resize * height // short)
    resampled = picture.resize((wide, high), Image.Resampling.BICUBIC)
    left, top = round((wide - size) / 2), round((high - size) / 2)
    return resampled.crop((left, top, left + size, top + size))
