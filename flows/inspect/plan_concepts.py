"""Build the concept table that a recipe's lists make, without any engine: shares, what merged with what and why, rejects."""

from collections import Counter, defaultdict
from dataclasses import asdict
from typing import Any

from data_specs.concept import KINDS, Concept
from data_specs.specs.run import RunSpec
from tasks.concepts.ingest import ingest, without_backgrounds


def plan_concepts(spec: RunSpec) -> dict[str, Any]:
    """All `concepts` and `rejects` in the order of the lists; `categories` and `rejected` count them.

    Backgrounds are those of the sources; an LLM is to write those of `to_write` objects. Raises SpecError for a list that is
    not there, or if no usable name is left.
    """
    outcomes = ingest(spec.concepts)
    concepts = [each for each in outcomes if isinstance(each, Concept)]
    rejects = [each for each in outcomes if not isinstance(each, Concept)]
    groups: dict[tuple[str, str], list[Concept]] = defaultdict(list)
    for each in concepts:
        groups[each.kind, each.category].append(each)
    return {
        "categories": [
            {
                "kind": kind,
                "category": category,
                "names": len(members),
                "share": sum(each.weight for each in members),
                "with_backgrounds": sum(bool(each.backgrounds) for each in members),
            }
            for (kind, category), members in sorted(
                groups.items(), key=lambda item: (KINDS.index(item[1][0].kind), item[0])
            )
        ],
        "accepted": len(concepts),
        "rejected": dict(sorted(Counter(each.reason for each in rejects).items())),
        "to_write": len(without_backgrounds(concepts, spec.concepts)),
        "concepts": [asdict(each) for each in concepts],
        "rejects": [asdict(each) for each in rejects],
    }
