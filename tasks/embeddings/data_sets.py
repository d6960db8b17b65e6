"""Turn the images of a data set of the recipe into benchmark images of one size.

Prepared as in SynCLR appendix B.5: the shorter side is resampled (bicubic), the centre is cropped, nothing is augmented, no
EXIF rotation. Stored as PNG, so that nothing more is lost.
"""

import hashlib
import io
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence

from PIL import Image

from data_specs.benchmark_image import BenchmarkImage
from data_specs.errors import SpecError
from data_specs.ids import digest
from data_specs.rejection import Rejection
from data_specs.specs.embeddings import DataSet, HuggingFaceImages, ImageFolder, ImageShards, OwnBenchmark
from tasks.embeddings import hugging_face, image_folders, image_shards
from tasks.embeddings.classes import require_testable, untested
from tasks.embeddings.pixels import PixelKindError, as_rgb, is_constant, resize_and_crop
from tasks.embeddings.raw_sample import RawSample
from tasks.embeddings.refusals import refusal

TRIED = 64
"""Images of a data set that are prepared before any work, to see what they are."""
MOST_REJECTED = 0.5
"""Where more of a data set's images are rejected, the run stops: what is left would be another benchmark."""


def fingerprint(source: OwnBenchmark) -> str:
    """A digest that changes with what the data set holds. Raises SpecError for one that is not there, or not as it should be."""
    try:
        match source:
            case ImageFolder():
                return image_folders.fingerprint(source)
            case HuggingFaceImages():
                return hugging_face.fingerprint(source)
            case ImageShards():
                return image_shards.fingerprint(source)
    except OSError as error:
        raise refusal(source, f"{error.filename or source.path} cannot be read: {error.strerror or error}") from error


def require_usable(source: OwnBenchmark) -> list[str]:
    """Read all labels and a few images, before hours of work; returns what a person should know of them.

    Raises SpecError for a data set of which no benchmark would come.
    """
    match source:
        case ImageFolder():
            files = image_folders.list_files(source)
            told = [f"files are left out: {known}"] if (known := image_folders.told(files)) else []
            told += filter(None, [untested(source, image_folders.shown_classes(source, files))])
            samples = image_folders.read_files(source, files[:: max(1, len(files) // TRIED)])
        case HuggingFaceImages():
            told = []
            if (shown := hugging_face.shown_classes(source)) is not None:
                require_testable(source, shown)
                told += filter(None, [untested(source, shown)])
            samples = hugging_face.spread_samples(source, TRIED)
        case ImageShards():  # which were sealed by this project
            return []
    return [f"{source.name}: {text}" for text in [*told, *_tried(source, list(_prepared(samples, source)))]]


def _tried(source: OwnBenchmark, tried: Sequence[BenchmarkImage | Rejection]) -> Iterator[str]:
    """What to tell of the images that were tried; those that are none by their names are told already."""
    images = [one for one in tried if isinstance(one, BenchmarkImage)]
    rejects = [one for one in tried if isinstance(one, Rejection) and one.reason not in image_folders.BY_NAME]
    rejected, total = Counter(one.reason for one in rejects), len(images) + len(rejects)
    require_most(source.name, "images tried", len(images), rejected)
    if rejects:
        listed = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in rejected.most_common())
        named = ", ".join(one.key for one in rejects[: image_folders.NAMED]) + ", ..." * (
            len(rejects) > image_folders.NAMED
        )
        yield f"of {total} images tried will be left out: {listed} ({named})"
    if constant := sum(one.constant for one in images):
        yield f"{constant} of {total} images tried are of one colour"


def require_most(name: str, what: str, accepted: int, rejected: Counter[str]) -> None:
    """Raises SpecError if most images are rejected; files that are none by their names do not count."""
    lost = Counter({reason: count for reason, count in rejected.items() if reason not in image_folders.BY_NAME})
    total = accepted + lost.total()
    if lost.total() > MOST_REJECTED * total:
        listed = ", ".join(f"{reason} {count}" for reason, count in lost.most_common())
        raise SpecError(
            f"embeddings: {name}: {lost.total()} of {total} {what} were rejected ({listed}); repair the data set, or remove "
            "it from embeddings.data_sets"
        )


def prepared_images(source: OwnBenchmark, part: int, parts: int) -> Iterator[BenchmarkImage | Rejection]:
    """Part `part` of `parts` of the data set; every image of it is accepted or rejected."""
    match source:
        case ImageFolder():
            samples = image_folders.read_samples(source, part, parts)
        case HuggingFaceImages():
            samples = hugging_face.read_samples(source, part, parts)
        case ImageShards():
            samples = image_shards.read_samples(source, part, parts)
    return _prepared(samples, source)


def _prepared(samples: Iterator[RawSample | Rejection], source: OwnBenchmark) -> Iterator[BenchmarkImage | Rejection]:
    for sample in samples:
        yield sample if isinstance(sample, Rejection) else prepare_image(sample, source)


def prepare_image(sample: RawSample, source: DataSet) -> BenchmarkImage | Rejection:
    assert source.size is not None  # a recipe that names none has the encoder's
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(sample.data)) as opened:
            square = resize_and_crop(as_rgb(opened), source.resize or source.size, source.size)
    except PixelKindError as error:
        return Rejection(sample.key, "unknown_pixels", str(error))
    except Exception as error:  # a decoder that is fed damaged bytes may raise whatever it likes
        return Rejection(sample.key, "unreadable", f"{type(error).__name__}: {error}"[:200])
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
        constant=is_constant(square),
        sha256=hashlib.sha256(data).hexdigest(),
        data=data,
    )
