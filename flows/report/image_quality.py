"""The images of a run enter; leaves what is said of how good they are: figures by shard and concept, and pictures to look at."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from data_specs.image_group import ImageGroup
from flows.inspect.quality import Apart, OfShard, Quality, groups_of, quality_of
from flows.report.charts import Part, columns, reach
from flows.report.galleries import Picture, pictures_of
from flows.report.sealed_stages import Walked
from tasks.images import score_summary as figures
from tasks.images.score_summary import Spread

COLUMNS = 40
CONCEPTS = 10
GROUPS = 6


@dataclass(frozen=True, slots=True)
class Shown:
    """Pictures of one caption, with what is said of them: a score, or a distance."""

    key: str
    text: str
    value: float
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class OfConcept:
    """`chart` reaches from the concept's worst picture to its best, over all concepts that are shown."""

    concept: str
    fit: Spread
    chart: Markup


@dataclass(frozen=True, slots=True)
class Judged:
    """`tables` and the pictures that follow are titled; without a scorer there is no chart, table, best or worst."""

    found: Quality
    looked_at: tuple[OfShard, ...]
    pictures: int
    unsafe: int
    redrawn: int
    passed_over: tuple[tuple[str, int], ...]
    chart: Markup
    ends: tuple[float, float]
    tables: tuple[tuple[str, tuple[OfConcept, ...]], ...]
    singles: tuple[tuple[str, tuple[Shown, ...]], ...]
    groups: tuple[tuple[str, tuple[Shown, ...]], ...]


def judged(images: Walked | None) -> Judged | None:
    """None where no picture was drawn."""
    found = quality_of(images.addresses) if images else None
    if found is None or not any(row.pictures for row in found.shards):
        return None
    alike, unlike = found.alike[:GROUPS], found.unlike[:GROUPS]
    named = [each.caption for each in (*found.best, *found.worst)] + [one.key for one in (*alike, *unlike)]
    drawn = groups_of(dict.fromkeys(named), found.where)
    chart, ends = _histogram(found)
    return Judged(
        found=found,
        looked_at=tuple(row for row in found.shards if row.siblings),
        pictures=sum(row.pictures for row in found.shards),
        unsafe=sum(row.unsafe for row in found.shards),
        redrawn=sum(row.redrawn for row in found.shards),
        passed_over=tuple(sum((Counter(row.passed_over) for row in found.shards), Counter[str]()).most_common()),
        chart=chart,
        ends=ends,
        tables=_tables(found),
        singles=tuple(
            (f"The {what}", tuple(_single(each, drawn[each.caption]) for each in pictures))
            for what, pictures in (("best", found.best), ("worst", found.worst))
            if pictures
        ),
        groups=tuple(
            (f"Most {what}", tuple(_group(one, drawn[one.key]) for one in captions))
            for what, captions in (("alike", alike), ("unlike", unlike))
            if captions
        ),
    )


def _single(picture: figures.Picture, group: ImageGroup) -> Shown:
    [drawn] = pictures_of(group, [picture.copy])
    return Shown(picture.key, picture.text, picture.fit or 0.0, (drawn,))


def _group(one: Apart, group: ImageGroup) -> Shown:
    return Shown(one.key, one.text, one.distance, pictures_of(group))


def _histogram(found: Quality) -> tuple[Markup, tuple[float, float]]:
    """How many pictures have which score, and the scores at the chart's sides."""
    if not found.fit:
        return Markup(""), (0.0, 0.0)
    low, high = found.fit.low, found.fit.high
    width = (high - low) / COLUMNS or 1.0
    counts = Counter(min(COLUMNS - 1, int((value - low) / width)) for value in found.values)
    bins = [
        [Part(f"{counts[number]:,} from {low + number * width:.3f}", counts[number], "kept")]
        for number in range(COLUMNS)
    ]
    return columns(bins, f"{found.fit.n:,} pictures by their fit, from {low:.3f} to {high:.3f}"), (low, high)


def _tables(found: Quality) -> tuple[tuple[str, tuple[OfConcept, ...]], ...]:
    """All concepts in one table where they are few."""
    if not found.fit:
        return ()
    best = list(reversed(found.concepts))
    if len(best) <= 2 * CONCEPTS:
        return (("Concepts", _rows(best, found.fit)),)
    return ("Best concepts", _rows(best[:CONCEPTS], found.fit)), (
        "Worst concepts",
        _rows(found.concepts[:CONCEPTS], found.fit),
    )


def _rows(concepts: Sequence[tuple[str, Spread]], room: Spread) -> tuple[OfConcept, ...]:
    ends = (room.low, room.high)
    return tuple(
        OfConcept(
            concept,
            of,
            reach(
                of.low, of.mean, of.high, ends, room.mean,
                f"{concept}: {of.mean:.3f}, from {of.low:.3f} to {of.high:.3f}", css="k-trained",
            ),
        )
        for concept, of in concepts
    )  # fmt: skip
