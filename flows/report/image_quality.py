"""Show how good a run's images are: scores by concept, how much siblings differ by shard, and images to look at."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from data_specs.image_group import ImageGroup
from data_specs.stage import SealedStage
from flows.inspect.quality import Apart, OfShard, Quality, groups_of, quality_of
from flows.report.charts import Part, columns, reach
from flows.report.galleries import GalleryImage, images_of
from tasks.images.score_summary import ImageScore, Spread

COLUMNS = 40
CONCEPTS = 10
GROUPS = 6


@dataclass(frozen=True, slots=True)
class QualityExample:
    """Images of one caption; `value` is a score, or the mean distance between them."""

    key: str
    text: str
    value: float
    images: tuple[GalleryImage, ...]


@dataclass(frozen=True, slots=True)
class ConceptScores:
    """`chart` reaches from the concept's worst image to its best, over all concepts that are shown."""

    concept: str
    fit: Spread
    chart: Markup


@dataclass(frozen=True, slots=True)
class ImageQuality:
    """`tables`, `singles` and `groups` are titled; without a scorer there is no chart, table or single image."""

    found: Quality
    compared: tuple[OfShard, ...]
    images: int
    unsafe: int
    redrawn: int
    passed_over: tuple[tuple[str, int], ...]
    chart: Markup
    ends: tuple[float, float]
    tables: tuple[tuple[str, tuple[ConceptScores, ...]], ...]
    singles: tuple[tuple[str, tuple[QualityExample, ...]], ...]
    groups: tuple[tuple[str, tuple[QualityExample, ...]], ...]


def image_quality(images: SealedStage | None) -> ImageQuality | None:
    """None where no image was rendered."""
    found = quality_of(list(images.shards())) if images else None
    if found is None or not any(row.images for row in found.shards):
        return None
    alike, unlike = found.alike[:GROUPS], found.unlike[:GROUPS]
    named = [each.caption for each in (*found.best, *found.worst)] + [one.key for one in (*alike, *unlike)]
    groups = groups_of(dict.fromkeys(named), found.where)
    chart, ends = _histogram(found)
    return ImageQuality(
        found=found,
        compared=tuple(row for row in found.shards if row.siblings),
        images=sum(row.images for row in found.shards),
        unsafe=sum(row.unsafe for row in found.shards),
        redrawn=sum(row.redrawn for row in found.shards),
        passed_over=tuple(sum((Counter(row.passed_over) for row in found.shards), Counter[str]()).most_common()),
        chart=chart,
        ends=ends,
        tables=_tables(found),
        singles=tuple(
            (f"The {what}", tuple(_single(each, groups[each.caption]) for each in scores))
            for what, scores in (("best", found.best), ("worst", found.worst))
            if scores
        ),
        groups=tuple(
            (f"Most {what}", tuple(_group(one, groups[one.key]) for one in captions))
            for what, captions in (("alike", alike), ("unlike", unlike))
            if captions
        ),
    )


def _single(image: ImageScore, group: ImageGroup) -> QualityExample:
    return QualityExample(image.key, image.text, image.fit or 0.0, images_of(group, [image.copy]))


def _group(one: Apart, group: ImageGroup) -> QualityExample:
    return QualityExample(one.key, one.text, one.distance, images_of(group))


def _histogram(found: Quality) -> tuple[Markup, tuple[float, float]]:
    """Draw how many images have which score; returned with the scores at the chart's sides."""
    if not found.fit:
        return Markup(""), (0.0, 0.0)
    low, high = found.fit.low, found.fit.high
    width = (high - low) / COLUMNS or 1.0
    counts = Counter(min(COLUMNS - 1, int((value - low) / width)) for value in found.values)
    bins = [
        [Part(f"{counts[number]:,} from {low + number * width:.3f}", counts[number], "kept")]
        for number in range(COLUMNS)
    ]
    return columns(bins, f"{found.fit.n:,} images by their fit, from {low:.3f} to {high:.3f}"), (low, high)


def _tables(found: Quality) -> tuple[tuple[str, tuple[ConceptScores, ...]], ...]:
    """The best and the worst concepts; all of them in one table where they are few."""
    if not found.fit:
        return ()
    best = list(reversed(found.concepts))
    if len(best) <= 2 * CONCEPTS:
        return (("Concepts", _rows(best, found.fit)),)
    return ("Best concepts", _rows(best[:CONCEPTS], found.fit)), (
        "Worst concepts",
        _rows(found.concepts[:CONCEPTS], found.fit),
    )


def _rows(concepts: Sequence[tuple[str, Spread]], every: Spread) -> tuple[ConceptScores, ...]:
    ends = (every.low, every.high)
    return tuple(
        ConceptScores(
            concept,
            of,
            reach(
                of.low, of.mean, of.high, ends, every.mean,
                f"{concept}: {of.mean:.3f}, from {of.low:.3f} to {of.high:.3f}", css="k-trained",
            ),
        )
        for concept, of in concepts
    )  # fmt: skip
