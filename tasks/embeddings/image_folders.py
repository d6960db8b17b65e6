"""Read a data set of image files, `<split>/<class>/<image>`; classes have the names of their folders."""

from collections.abc import Iterator
from dataclasses import dataclass

from data_specs.benchmark_image import TEST, TRAIN, VALIDATION
from data_specs.errors import SpecError
from data_specs.ids import digest
from data_specs.rejection import Rejection
from data_specs.specs.embeddings import ImageFolder, SplitDataSet
from tasks import storage
from tasks.embeddings.raw_sample import RawSample


@dataclass(frozen=True, slots=True)
class ListedImage:
    group: str
    label: str
    path: str
    """Below the data set's folder."""


def splits(source: SplitDataSet) -> dict[str, str]:
    """Our name of a split -> the data set's."""
    named = {TRAIN: source.train, VALIDATION: source.validation, TEST: source.test}
    return {group: split for group, split in named.items() if split is not None}


def list_images(source: ImageFolder) -> list[ListedImage]:
    """Sorted. Raises SpecError for a split or class without images, and for a tested class that is not in the training split."""
    found = [one for group, split in splits(source).items() for one in _split(source, group, split)]
    classes = {group: {one.label for one in found if one.group == group} for group in splits(source)}
    for group, labels in classes.items():
        if strange := sorted(labels - classes[TRAIN]):
            raise SpecError(
                f"embeddings.data_sets: {source.name}: {splits(source)[group]!r} has the class {strange[0]!r}, and "
                f"{source.train!r} has no folder of that name: a probe cannot know it"
            )
    return found


def _split(source: ImageFolder, group: str, split: str) -> Iterator[ListedImage]:
    folder = f"{source.path.rstrip('/')}/{split}"
    labels = [name for name in storage.names(folder) if not _stray(f"{folder}/{name}")]
    if not labels:
        there = ", ".join(storage.names(source.path)[:10]) or "nothing"
        raise SpecError(
            f"embeddings.data_sets: {source.name}: {folder!r} holds no class folders ({source.path!r} holds {there}); it must "
            "be <split>/<class>/<image>, and train, validation and test name the splits"
        )
    for label in labels:
        files = storage.names(f"{folder}/{label}")
        if not files:
            raise SpecError(
                f"embeddings.data_sets: {source.name}: the class folder {folder}/{label} is empty; put images there, "
                "or remove it"
            )
        for name in files:
            yield ListedImage(group, label, f"{split}/{label}/{name}")


def _stray(url: str) -> bool:
    """A file beside the class folders, such as a list of them."""
    return url.rsplit("/", 1)[-1].startswith(".") or (storage.is_local(url) and storage.local_path(url).is_file())


def fingerprint(source: ImageFolder) -> str:
    """A digest of the files' names and, in a local folder, of their sizes: images of other content mostly differ in size."""
    facts: list[str | int] = []
    for one in list_images(source):
        url = f"{source.path.rstrip('/')}/{one.path}"
        facts += [one.group, one.path, storage.local_path(url).stat().st_size if storage.is_local(url) else 0]
    return digest(*facts)


def read_samples(source: ImageFolder, part: int, parts: int) -> Iterator[RawSample | Rejection]:
    """Read every `parts`-th image from `part` on."""
    for one in list_images(source)[part::parts]:
        try:
            data = storage.read_bytes(f"{source.path.rstrip('/')}/{one.path}")
        except OSError as error:
            yield Rejection(one.path, "unreadable", str(error.strerror or error))
            continue
        yield Rejection(one.path, "gone") if data is None else RawSample(one.path, one.group, (one.label,), data)
