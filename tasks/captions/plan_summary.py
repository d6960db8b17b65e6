"""Count captions by kind, category and strategy, as planned or as expected from the recipe's shares. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from data_specs.caption import Strategy
from data_specs.concept import KINDS, Concept, Kind
from data_specs.specs.captions import CaptionsSpec
from tasks.captions.planning import CaptionPlan

Sort = tuple[Kind, str, Strategy]
"""Kind, category and strategy of one caption."""


def counted(plans: Iterable[CaptionPlan]) -> dict[Sort, float]:
    return dict(Counter((plan.concept.kind, plan.concept.category, plan.strategy) for plan in plans))


def expected(concepts: Sequence[Concept], spec: CaptionsSpec, planned: int) -> dict[Sort, float]:
    """The expectation of `counted`: an object without backgrounds falls back to the strategy `concept`."""
    total = sum(concept.weight for concept in concepts)
    found: dict[Sort, float] = {}
    for concept in concepts:
        shares: dict[Strategy, float] = {"concept": 1.0}
        if concept.kind == "object":
            shares = dict(spec.strategies)
            if not concept.backgrounds and spec.backgrounds == "own":
                shares["concept"] = shares.get("concept", 0.0) + shares.pop("background", 0.0)
        for strategy, share in shares.items():
            sort = (concept.kind, concept.category, strategy)
            found[sort] = found.get(sort, 0.0) + planned * concept.weight / total * share
    return {sort: count for sort, count in found.items() if count}


def summed(sorts: dict[Sort, float]) -> dict[str, Any]:
    """Sums by kind, by category, and by kind and strategy; each adds up to the total."""
    kinds: dict[str, float] = {}
    categories: dict[str, float] = {}
    strategies: dict[str, dict[str, float]] = {}
    for (kind, category, strategy), count in sorted(sorts.items(), key=lambda item: (KINDS.index(item[0][0]), item[0])):
        kinds[kind] = kinds.get(kind, 0) + count
        categories[category] = categories.get(category, 0) + count
        of_kind = strategies.setdefault(kind, {})
        of_kind[strategy] = of_kind.get(strategy, 0) + count
    return {"kinds": kinds, "categories": categories, "strategies": strategies}
