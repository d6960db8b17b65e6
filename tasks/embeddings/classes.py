"""Splits and classes of a data set: which it has, and whether a probe that learns from one can be tested on the other."""

from collections.abc import Collection, Iterable, Mapping

from data_specs.benchmark_image import TEST, TRAIN, VALIDATION
from data_specs.specs.embeddings import SplitDataSet
from tasks.embeddings.refusals import refusal

Shown = tuple[str, ...]
"""The classes that an image shows."""


def splits(source: SplitDataSet) -> dict[str, str]:
    """Our name of a split -> the data set's."""
    named = {TRAIN: source.train, VALIDATION: source.validation, TEST: source.test}
    return {group: split for group, split in named.items() if split is not None}


def require_testable(source: SplitDataSet, shown: Mapping[str, Iterable[Shown]]) -> None:
    """Raises SpecError, unless each split has images with classes that the metric takes, and the tested ones are in `train`.

    `shown` are the classes of a split's images, by our name for it; each combination needs to be there once only.
    """
    named = splits(source)
    found = {group: set(each) for group, each in shown.items()}
    classes = {group: {name for names in each for name in names} for group, each in found.items()}
    for group, names in classes.items():
        if not names:
            raise refusal(source, f"no image of the split {named[group]!r} has a class")
    for group, names in classes.items():
        if strange := sorted(names - classes[TRAIN]):
            raise refusal(
                source,
                f"{named[group]!r} has the class {strange[0]!r}, and {source.train!r} has none of that name"
                f"{_others(strange)}: a probe cannot know it",
            )
    if source.metric == "map11":
        return
    if several := next((names for each in found.values() for names in each if len(names) != 1), None):
        raise refusal(
            source,
            f"an image shows {', '.join(several) or 'no class'}; {source.metric} needs exactly one class, metric: map11 "
            "takes any number",
        )
    if len(classes[TRAIN]) == 1:
        [only] = classes[TRAIN]
        raise refusal(
            source, f"all images are of one class, {only!r}, so that every answer is right; it must have two at least"
        )


def untested(source: SplitDataSet, shown: Mapping[str, Iterable[Shown]]) -> str:
    """Which classes of `train` the tested split lacks, in words; empty where it has all: half of a copy looks so."""
    trained, tested = ({name for names in shown[group] for name in names} for group in (TRAIN, TEST))
    if not (absent := sorted(trained - tested)):
        return ""
    return (
        f"{len(absent)} of {len(trained)} classes of {source.train!r} are not in {source.test!r} ({absent[0]!r}"
        f"{', ...' if absent[1:] else ''})"
    )


def _others(names: Collection[str]) -> str:
    return f" (and {len(names) - 1} others)" if len(names) > 1 else ""
