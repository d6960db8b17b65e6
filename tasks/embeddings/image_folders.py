"""Read a data set of image files, `<split>/<class>/<image>`; classes have the names of their folders.

What is no image by its name is left out and told; what may be a mistake about where images lie is refused before any work.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from data_specs.ids import digest
from data_specs.rejection import Rejection
from data_specs.specs.embeddings import ImageFolder
from tasks import storage
from tasks.embeddings.classes import require_testable, splits
from tasks.embeddings.raw_sample import RawSample
from tasks.embeddings.refusals import refusal
from tasks.storage import Entry

HIDDEN, OTHER_NAME = "hidden", "no_image_name"
BY_NAME = (HIDDEN, OTHER_NAME)
"""Reasons for which a file is no image of the data set by its name alone."""
NAMED = 3
"""So many files of each reason are named in a message."""


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of a class folder; `path` is below the data set's folder. `reason` says why it is no image, if it is none."""

    group: str
    label: str
    path: str
    size: int
    reason: str = ""


def list_files(source: ImageFolder) -> list[ListedFile]:
    """Sorted.

    Raises SpecError for a split or class without images, a class that is tested and not trained on, a folder in a class
    folder, an image beside the class folders, a link to nothing, and a name that is not UTF-8; OSError for a folder that
    cannot be read.
    """
    found = [one for group, split in splits(source).items() for one in _split(source, group, split)]
    require_testable(source, shown_classes(source, found))
    return found


def shown_classes(source: ImageFolder, files: Sequence[ListedFile]) -> dict[str, set[tuple[str, ...]]]:
    """Which classes the images of each split show, by our name for it."""
    return {group: {(one.label,) for one in files if one.group == group and not one.reason} for group in splits(source)}


def _split(source: ImageFolder, group: str, split: str) -> Iterator[ListedFile]:
    folder, known = f"{source.path.rstrip('/')}/{split}", image_suffixes()
    inside = _entries(source, folder)
    labels = [each.name for each in inside if each.kind == "folder" and not each.name.startswith(".")]
    if not labels:
        there = (
            f"holds {', '.join(storage.names(source.path)[:10])}"
            if storage.names(source.path)
            else "is no folder, or empty"
        )
        raise refusal(
            source,
            f"{folder!r} holds no class folders ({source.path!r} {there}); it must be <split>/<class>/<image>, and "
            "train, validation and test name the splits",
        )
    _require_no_lost(source, split, inside)
    _require_no_loose(source, split, [each.name for each in inside if each.kind == "file"], known)
    for label in labels:
        here = _entries(source, f"{folder}/{label}")
        _require_files(source, f"{split}/{label}", here)
        files = [
            ListedFile(group, label, f"{split}/{label}/{each.name}", each.size, _reason(each.name, known))
            for each in here
            if each.kind == "file"
        ]
        if all(one.reason for one in files):
            others = f" of images ({told(files)})" if files else ""
            raise refusal(source, f"the class folder {folder}/{label} is empty{others}; put images there, or remove it")
        yield from files


def _entries(source: ImageFolder, folder: str) -> list[Entry]:
    found = storage.entries(folder)
    for each in found:
        if any("\udc80" <= letter <= "\udcff" for letter in each.name):  # how Python reads bytes that are not UTF-8
            raise refusal(source, f"the name {each.name!r} in {folder!r} is not UTF-8; rename it")
    return found


def _require_files(source: ImageFolder, folder: str, here: Sequence[Entry]) -> None:
    deeper = [each.name for each in here if each.kind == "folder" and not each.name.startswith(".")]
    if deeper:
        raise refusal(
            source,
            f"the class folder {folder} holds {len(deeper)} folders ({_few(deeper)}), whose images would not be seen; it must "
            "be <split>/<class>/<image>: move the images up, or the folders out",
        )
    _require_no_lost(source, folder, here)


def _require_no_lost(source: ImageFolder, folder: str, here: Sequence[Entry]) -> None:
    if lost := [each.name for each in here if each.kind == "other"]:
        raise refusal(
            source,
            f"{len(lost)} of {len(here)} names in {folder} are links to nothing, or no files ({_few(lost)}); restore or "
            "remove them",
        )


def _require_no_loose(source: ImageFolder, folder: str, names: Sequence[str], known: frozenset[str]) -> None:
    """Other files, such as a list of the classes, may lie beside them."""
    if loose := [name for name in names if "." in name and not _reason(name, known)]:
        raise refusal(
            source,
            f"{folder} holds {len(loose)} images beside its class folders ({_few(loose)}), which would not be seen; it must be "
            "<split>/<class>/<image>: move them into a class folder, or out",
        )


def image_suffixes() -> frozenset[str]:
    """Endings of files that Pillow opens."""
    return frozenset(suffix for suffix, form in Image.registered_extensions().items() if form in Image.OPEN)


def _reason(name: str, known: frozenset[str]) -> str:
    """A name without an ending may be that of an image: its bytes tell."""
    if name.startswith("."):
        return HIDDEN
    _, dot, suffix = name.rpartition(".")
    return OTHER_NAME if dot and f".{suffix.lower()}" not in known else ""


def told(files: Sequence[ListedFile]) -> str:
    """`4 hidden: ._0.jpg, ._1.jpg, ._2.jpg, ...; 1 no image name: list.txt`; empty where all files are images."""
    counts = Counter(one.reason for one in files if one.reason)
    return "; ".join(
        f"{count} {reason.replace('_', ' ')}: {_few([one.path for one in files if one.reason == reason])}"
        for reason, count in counts.most_common()
    )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if names[NAMED:] else "")


def fingerprint(source: ImageFolder) -> str:
    """A digest of the images' names and sizes: images of other content mostly differ in size."""
    facts: list[str | int] = []
    for one in list_files(source):
        facts += [one.group, one.path, one.size]
    return digest(*facts)


def read_samples(source: ImageFolder, part: int, parts: int) -> Iterator[RawSample | Rejection]:
    """Read every `parts`-th file from `part` on."""
    return read_files(source, list_files(source)[part::parts])


def read_files(source: ImageFolder, files: Iterable[ListedFile]) -> Iterator[RawSample | Rejection]:
    """Read what `list_files` has listed; what is no image by its name is a reject."""
    for one in files:
        if one.reason:
            yield Rejection(one.path, one.reason)
            continue
        try:
            data = storage.read_bytes(f"{source.path.rstrip('/')}/{one.path}")
        except OSError as error:
            yield Rejection(one.path, "unreadable", str(error.strerror or error))
            continue
        yield Rejection(one.path, "gone") if data is None else RawSample(one.path, one.group, (one.label,), data)
