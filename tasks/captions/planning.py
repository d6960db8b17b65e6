"""Plan each caption: concept, strategy, background or relation, and in-context examples.

A plan depends on (the recipe's seed, the concept table, the captions' spec, shard, slot) and on nothing else.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import TypeVar

from data_specs.caption import STRATEGIES, Strategy
from data_specs.concept import Concept
from data_specs.errors import SpecError
from data_specs.ids import seed_of
from data_specs.prompt_set import EXAMPLES_PER_PROMPT, RELATIONS, Example, PromptKind, PromptSet
from data_specs.specs.captions import CaptionsSpec

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class CaptionPlan:
    """What the caption in one slot of one shard must say; the same for every attempt at it.

    Slots of one `pack` and prompt kind share their examples, so that their prompts have a common prefix.
    """

    shard: int
    slot: int
    pack: int
    concept: Concept
    strategy: Strategy
    background: str | None = None
    relation: str | None = None
    other: str | None = None

    @property
    def prompt_kind(self) -> PromptKind:
        """`c -> caption` has a header and examples for each kind of concept; the other strategies have their own."""
        return self.concept.kind if self.strategy == "concept" else self.strategy


class Planner:
    """Plans any slot directly, in any order; holds one cumulative sum over the table."""

    def __init__(self, concepts: Sequence[Concept], spec: CaptionsSpec, seed: int) -> None:
        """Raises SpecError for a table without concepts or weight, or without the places that the spec asks for."""
        require_plannable(concepts, spec)
        self._concepts = tuple(concepts)
        self._cumulative = tuple(accumulate(concept.weight for concept in concepts))
        self._objects = tuple(sorted({concept.name for concept in concepts if concept.kind == "object"}))
        self._strategies = tuple(accumulate(spec.strategies.get(strategy, 0.0) for strategy in STRATEGIES))
        self._offer_other, self._packing = spec.offer_other, spec.packing
        self._places = places_of(concepts) if spec.backgrounds == "random_place" else ()
        self._seed = seed

    def plan(self, shard: int, slot: int) -> CaptionPlan:
        draw = Random(seed_of("plan", self._seed, shard, slot))
        concept = self._concepts[_weighted(self._cumulative, draw)]
        where = shard, slot, slot // self._packing, concept
        if concept.kind != "object":
            return CaptionPlan(*where, "concept")
        match STRATEGIES[_weighted(self._strategies, draw)]:
            case "background" if backgrounds := self._places or concept.backgrounds:
                return CaptionPlan(*where, "background", background=_one(backgrounds, draw))
            case "relation":
                relation, other = _one(RELATIONS, draw), self._other(concept, draw)
                return CaptionPlan(*where, "relation", relation=relation, other=other)
            case _:  # an object without backgrounds can only be named
                return CaptionPlan(*where, "concept")

    def _other(self, concept: Concept, draw: Random) -> str | None:
        """Any object but the concept itself, uniformly; None if the recipe leaves the second noun to the LLM."""
        if not self._offer_other or len(self._objects) < 2:
            return None
        position = bisect_right(self._objects, concept.name) - 1  # its own index in the sorted names
        return self._objects[(position + 1 + int(draw.random() * (len(self._objects) - 1))) % len(self._objects)]


def require_plannable(concepts: Sequence[Concept], spec: CaptionsSpec) -> None:
    """Raises SpecError for a table without concepts or weight, or without the places that the spec asks for."""
    if not concepts:
        raise SpecError("captions: the concept table is empty; give concepts.sources a list of names")
    if not math.fsum(concept.weight for concept in concepts) > 0:
        raise SpecError("captions: every concept's weight is 0; give concepts.kinds or categories a share")
    if spec.backgrounds == "random_place" and not places_of(concepts):
        raise SpecError(
            "captions.backgrounds=random_place: the concept table has no place; add a source with kind: place"
        )


def places_of(concepts: Sequence[Concept]) -> tuple[str, ...]:
    """The names of all places, sorted, so that the table's order does not matter."""
    return tuple(sorted(concept.name for concept in concepts if concept.kind == "place"))


def examples_for(plan: CaptionPlan, prompts: PromptSet, seed: int, attempt: int) -> tuple[Example, ...]:
    """Three of the pool without replacement (SynCLR section 3.1); each attempt draws anew.

    Any three in any order are equally likely for every slot; only slots of one pack share theirs. With each attempt packs
    merge two by two, since fewer of their slots are open.
    """
    draw = Random(seed_of("examples", seed, plan.shard, plan.prompt_kind, plan.pack >> attempt, attempt))
    left = list(prompts.pool(plan.prompt_kind).examples)
    return tuple(left.pop(int(draw.random() * len(left))) for _ in range(EXAMPLES_PER_PROMPT))


def ask_seed(plan: CaptionPlan, seed: int, attempt: int) -> int:
    """The seed from which the LLM samples the tokens of one attempt."""
    return seed_of("caption", seed, plan.shard, plan.slot, attempt)


def _weighted(cumulative: Sequence[float], draw: Random) -> int:
    """An index drawn with the weights whose running sum is given; an index of weight 0 is never drawn."""
    return bisect_right(cumulative, draw.random() * cumulative[-1], hi=len(cumulative) - 1)


def _one(items: Sequence[Item], draw: Random) -> Item:
    # Random.choice may consume other bits in another Python; a float times a length stays what it is.
    return items[int(draw.random() * len(items))]
