"""Turn the images of a data set of the recipe into benchmark images of one size.

Prepared as in SynCLR appendix B.5: the shorter side is resampled (bicubic), the centre is cropped, nothing is augmented, no
EXIF rotation. Stored as PNG, so that nothing more is lost.
"""

import hashlib
import io
import struct
from collections.abc import Iterator

from PIL import Image

from data_specs.benchmark_image import BenchmarkImage
from data_specs.ids import digest
from data_specs.rejection import Rejection
from data_specs.specs.embeddings import DataSet, HuggingFaceImages, ImageFolder, ImageShards, OwnBenchmark
from tasks.embeddings import hugging_face, image_folders, image_shards
from tasks.embeddings.raw_sample import RawSample

UNREADABLE = (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for files that are cut off, damaged or no images."""


def fingerprint(source: OwnBenchmark) -> str:
    """A digest that changes with what the data set holds. Raises SpecError for one that is not there, or not as it should be."""
    match source:
        case ImageFolder():
            return image_folders.fingerprint(source)
        case HuggingFaceImages():
            return hugging_face.fingerprint(source)
        case ImageShards():
            return image_shards.fingerprint(source)


def prepared_images(source: OwnBenchmark, part: int, parts: int) -> Iterator[BenchmarkImage | Rejection]:
    """Part `part` of `parts` of the data set; every image of it is accepted or rejected."""
    match source:
        case ImageFolder():
            samples = image_folders.read_samples(source, part, parts)
        case HuggingFaceImages():
            samples = hugging_face.read_samples(source, part, parts)
        case ImageShards():
            samples = image_shards.read_samples(source, part, parts)
    for sample in samples:
        yield sample if isinstance(sample, Rejection) else prepare_image(sample, source)


def prepare_image(sample: RawSample, source: DataSet) -> BenchmarkImage | Rejection:
    try:
        with Image.open(io.BytesIO(sample.data)) as opened:
            square = resize_and_crop(opened.convert("RGB"), source.resize or source.size, source.size)
    except UNREADABLE as error:
        return Rejection(sample.key, "unreadable", str(error)[:200])
    stream = io.BytesIO()
    square.save(stream, "PNG")
    data = stream.getvalue()
    return BenchmarkImage(
        id=digest("picture", source.name, sample.key),
        benchmark=source.name,
        group=sample.group,
        labels=sample.labels,
        category="",
        copy=0,
        seed=0,
        sha256=hashlib.sha256(data).hexdigest(),
        data=data,
    )


def resize_and_crop(image: Image.Image, resize: int, size: int) -> Image.Image:
    """Resample the shorter side to `resize`, then crop the central square of `size`."""
    width, height = image.size
    short = min(width, height)
    wide, high = max(resize, resize * width // short), max(resize, resize * height // short)
    resampled = image.resize((wide, high), Image.Resampling.BICUBIC)
    left, top = round((wide - size) / 2), round((high - size) / 2)
    return resampled.crop((left, top, left + size, top + size))
