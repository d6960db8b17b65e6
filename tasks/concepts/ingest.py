"""Read every source of the recipe, and seal the concepts in one table."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from data_specs.concept import CONTRACT, Concept, from_row
from data_specs.errors import SpecError
from data_specs.ids import category_id, concept_id
from data_specs.rejection import Rejection
from data_specs.shard import UNNAMED, MadeBy, ShardAddress, ShardManifest
from data_specs.specs.concepts import UNSORTED, BackgroundsSpec, ConceptsSpec
from tasks.concepts.background_answers import fingerprint
from tasks.concepts.naming import clean, fault
from tasks.concepts.sources import Name, read_names, require_there
from tasks.concepts.weights import weights
from tasks.concepts.write_backgrounds import read_backgrounds
from tasks.events import Emit, ignore
from tasks.shards import make_shard, read_rows


def ingest(spec: ConceptsSpec) -> list[Concept | Rejection]:
    """Read every name of every source once: as a concept, or as a reject (`merged` with an earlier one, or unusable).

    Raises SpecError if no usable name is left.
    """
    require_there(spec)
    concepts: dict[str, Concept] = {}
    rejects: list[Rejection] = []
    for entry in (entry for source in spec.sources for entry in read_names(source)):
        name = clean(entry.name, entry.kind)
        # A refused name may be 10,000 characters long: what is kept of it is enough to find it.
        if reason := fault(name):
            rejects.append(Rejection(entry.source, reason, name[:200]))
            continue
        key = concept_id(entry.kind, name.casefold())
        if known := concepts.get(key):
            concepts[key] = replace(
                known,
                sources=tuple(dict.fromkeys((*known.sources, entry.source))),
                backgrounds=tuple(dict.fromkeys((*known.backgrounds, *entry.backgrounds))),
            )
            rejects.append(Rejection(key, "merged", _merger(entry, name, known)))
        else:
            concepts[key] = Concept(
                key, name, entry.kind, entry.category, 0.0, (entry.source,), tuple(dict.fromkeys(entry.backgrounds))
            )
    if not concepts:
        why = ", ".join(f"{count:,} {reason}" for reason, count in Counter(one.reason for one in rejects).most_common())
        raise SpecError(
            f"concepts.sources: no usable name among {len(rejects):,} entries ({why or 'the lists are empty'}); give a list of "
            "names"
        )
    table = list(concepts.values())
    weighted = [replace(concept, weight=weight) for concept, weight in zip(table, weights(table, spec), strict=True)]
    return [*weighted, *rejects]


def table_of(spec: ConceptsSpec) -> list[Concept]:
    """The concepts alone, without backgrounds that an LLM is yet to write. Reads the sources, like `ingest`."""
    return concepts_of(ingest(spec))


def concepts_of(entries: Sequence[Concept | Rejection]) -> list[Concept]:
    return [entry for entry in entries if isinstance(entry, Concept)]


def _merger(entry: Name, name: str, known: Concept) -> str:
    """Says which name was merged with which, why, and whether its category is lost."""
    if entry.name == known.name:
        why = "listed twice" if entry.source in known.sources else "the same name"
    else:
        why = "the same name once cleaned" if name == known.name else "the same name but for case"
    lost = f"; its category {entry.category!r} is dropped" if entry.category != known.category else ""
    return f"{entry.name[:200]!r} of {entry.source} is {known.name!r} of {known.sources[0]}: {why}{lost}"


def without_backgrounds(concepts: Sequence[Concept], spec: ConceptsSpec) -> list[Concept]:
    """The objects that `backgrounds_by` gives backgrounds to, in the table's order; none if it is not set."""
    by = spec.backgrounds_by
    return [each for each in concepts if _lacks_backgrounds(each, by)] if by else []


def asked_about(concepts: Sequence[Concept], spec: ConceptsSpec) -> list[Concept]:
    """Whom the LLM is asked about: those objects, or their categories where backgrounds are shared by category.

    Raises SpecError if backgrounds are to be shared and an object has no category.
    """
    objects, by = without_backgrounds(concepts, spec), spec.backgrounds_by
    if not (by and by.shared_by_category):
        return objects
    if unsorted := [each.name for each in objects if each.category == UNSORTED]:
        raise SpecError(
            f"{by.at}.shared_by_category: {len(unsorted)} objects such as {unsorted[0]!r} have no category to ask about; "
            "give their source a category or a category_column"
        )
    categories = dict.fromkeys(each.category for each in objects)
    return [Concept(category_id(name), name, "object", name, 0.0, ()) for name in categories]


def ingest_table(
    address: ShardAddress,
    entries: Sequence[Concept | Rejection],
    written: Sequence[ShardAddress],
    spec: ConceptsSpec,
    *,
    made_by: MadeBy = UNNAMED,
    emit: Emit = ignore,
) -> ShardManifest:
    """Seal the table. `entries` are what `ingest` read from the sources, once a run.

    `written` are the sealed shards of backgrounds that an LLM wrote: they are added after an object's own.
    """

    def outcomes() -> Iterator[Concept | Rejection]:
        more, by = read_backgrounds(written), spec.backgrounds_by
        for each in entries:
            if by and isinstance(each, Concept) and _lacks_backgrounds(each, by):
                found = more.get(category_id(each.category) if by.shared_by_category else each.id, ())
                known = {fingerprint(own) for own in each.backgrounds}
                new = (place for place in found if fingerprint(place) not in known)
                each = replace(each, backgrounds=(*each.backgrounds, *new))
            yield each

    return make_shard(address, CONTRACT, outcomes, made_by=made_by, emit=emit, tar=False)


def _lacks_backgrounds(concept: Concept, by: BackgroundsSpec) -> bool:
    return concept.kind == "object" and (by.for_all or not concept.backgrounds)


def read_concepts(address: ShardAddress) -> list[Concept]:
    """The sealed table, in its order."""
    return [from_row(row) for row in read_rows(address).to_pylist()]
