"""Ingest every source of the recipe into one sealed table of concepts."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from data_specs.concept import CONTRACT, Concept, from_row
from data_specs.errors import SpecError
from data_specs.ids import category_id, concept_id
from data_specs.rejection import Rejection
from data_specs.run import UNSORTED, BackgroundsSpec, ConceptsSpec
from data_specs.shard import ShardAddress, ShardManifest
from tasks.concepts.background_answers import fingerprint
from tasks.concepts.naming import clean, fault
from tasks.concepts.sources import Name, read_names, require_there
from tasks.concepts.weights import weights
from tasks.concepts.write_backgrounds import read_backgrounds
from tasks.shards import make_shard, read_rows


def ingest(spec: ConceptsSpec) -> list[Concept | Rejection]:
    """Every name of every source, once: as a concept, or as a reject (`merged` with an earlier one, or unusable).

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
        raise SpecError(f"concepts.sources: no usable name among {len(rejects)} entries; give a list of names")
    table = list(concepts.values())
    weighted = [replace(concept, weight=weight) for concept, weight in zip(table, weights(table, spec), strict=True)]
    return [*weighted, *rejects]


def table_of(spec: ConceptsSpec) -> list[Concept]:
    """The concepts alone, as the sources give them."""
    return [outcome for outcome in ingest(spec) if isinstance(outcome, Concept)]


def _merger(entry: Name, name: str, known: Concept) -> str:
    """What became one with what, and by what right; what was not taken over is told too."""
    if entry.name == known.name:
        why = "listed twice" if entry.source in known.sources else "the same name"
    else:
        why = "the same name once cleaned" if name == known.name else "the same name but for case"
    lost = f"; its category {entry.category!r} is not taken over" if entry.category != known.category else ""
    return f"{entry.name[:200]!r} of {entry.source} is {known.name!r} of {known.sources[0]}: {why}{lost}"


def without_backgrounds(spec: ConceptsSpec) -> list[Concept]:
    """The objects that `backgrounds_by` is to give backgrounds to, in the table's order; none if it is not set."""
    by = spec.backgrounds_by
    return [each for each in table_of(spec) if _lacks_backgrounds(each, by)] if by else []


def asked_about(spec: ConceptsSpec) -> list[Concept]:
    """Those objects, or, where their backgrounds are shared, their categories in place of them. Raises SpecError."""
    objects, by = without_backgrounds(spec), spec.backgrounds_by
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
    address: ShardAddress, spec: ConceptsSpec, written: Sequence[ShardAddress] = (), *, run: str = ""
) -> ShardManifest:
    """`written` are the sealed shards of backgrounds that an LLM wrote: they come after an object's own."""

    def outcomes() -> Iterator[Concept | Rejection]:
        more, by = read_backgrounds(written), spec.backgrounds_by
        for each in ingest(spec):
            if by and isinstance(each, Concept) and _lacks_backgrounds(each, by):
                found = more.get(category_id(each.category) if by.shared_by_category else each.id, ())
                known = {fingerprint(own) for own in each.backgrounds}
                new = (place for place in found if fingerprint(place) not in known)
                each = replace(each, backgrounds=(*each.backgrounds, *new))
            yield each

    return make_shard(address, CONTRACT, outcomes, run=run, tar=False)


def _lacks_backgrounds(concept: Concept, by: BackgroundsSpec) -> bool:
    return concept.kind == "object" and (by.for_all or not concept.backgrounds)


def read_concepts(address: ShardAddress) -> list[Concept]:
    """The sealed table, in its order."""
    return [from_row(row) for row in read_rows(address).to_pylist()]
