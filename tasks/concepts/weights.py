"""Compute each concept's probability from the recipe's shares. Pure.

Nested as in SynCLR's released script: first the kind, then the category, then uniform within it.
"""

from collections import Counter
from collections.abc import Sequence

from data_specs.concept import Concept
from data_specs.errors import SpecError
from data_specs.specs.concepts import ConceptsSpec


def weights(concepts: Sequence[Concept], spec: ConceptsSpec) -> list[float]:
    """One weight per concept, summing to 1. Raises SpecError if a share names nothing or nothing has a share."""
    per_kind = Counter(concept.kind for concept in concepts)
    present = {kind: share for kind, share in spec.kinds.items() if per_kind[kind] and share > 0}
    if not present:
        raise SpecError(f"concepts.kinds gives no share to any of the kinds found: {', '.join(sorted(per_kind))}")
    total = sum(present.values())
    objects = Counter(concept.category for concept in concepts if concept.kind == "object")
    for category in spec.categories:
        if category not in objects:
            raise SpecError(
                f"concepts.categories: no object has the category {category!r}; there are {', '.join(sorted(objects))}; "
                "give shares to these, or concepts.categories={} for all names alike"
            )

    def within(concept: Concept) -> float:
        if concept.kind == "object" and spec.categories:
            return spec.categories.get(concept.category, 0.0) / objects[concept.category]
        return 1 / per_kind[concept.kind]

    return [present.get(concept.kind, 0.0) / total * within(concept) for concept in concepts]
