"""A run's name enters; what each concept was planned, asked for and kept, strategy by strategy, leaves. Reads metadata alone."""

from collections import Counter
from typing import Any

from data_specs.caption import STRATEGIES
from data_specs.concept import from_row
from data_specs.run import CaptionsSpec
from data_specs.shard import ShardAddress
from flows.addresses import rooms
from flows.run_folder import read_recipe
from tasks.captions.planning import Planner
from tasks.shards import missing, read_rejects, read_rows

Sort = tuple[str, str]
"""A concept's id, and a strategy."""


def coverage(root: str, name: str) -> list[dict[str, Any]]:
    """One row a concept and strategy that was planned or kept, in the concept table's order, over the sealed shards.

    kept <= planned <= asked: every slot is asked for at least once, and again until it is kept.

    Raises SpecError if there is no such run, ContractError if it has no concepts yet.
    """
    run, _ = read_recipe(root, name)
    here = rooms(run.spec, root)
    concepts = [from_row(row) for row in read_rows(here["concepts"].table).to_pylist()]
    planner = Planner(concepts, run.spec.captions, run.spec.seed)
    planned, asked, kept = Counter[Sort](), Counter[Sort](), Counter[Sort]()
    absent = set(missing(here["captions"].shards))
    for address in here["captions"].shards:
        if address not in absent:
            _count(address, planner, run.spec.captions, planned, asked, kept)
    return [
        {
            "concept_id": concept.id,
            "concept": concept.name,
            "kind": concept.kind,
            "category": concept.category,
            "weight": concept.weight,
            "strategy": strategy,
            "planned": planned[concept.id, strategy],
            "asked": asked[concept.id, strategy],
            "kept": kept[concept.id, strategy],
        }
        for concept in concepts
        for strategy in STRATEGIES
        if planned[concept.id, strategy]
    ]


def _count(
    address: ShardAddress,
    planner: Planner,
    spec: CaptionsSpec,
    planned: Counter[Sort],
    asked: Counter[Sort],
    kept: Counter[Sort],
) -> None:
    slots: list[Sort] = []
    for slot in range(spec.per_shard):
        plan = planner.plan(address.index, slot)
        slots.append((plan.concept.id, plan.strategy))
    planned.update(slots)
    made = read_rows(address).select(["slot"]).column("slot").to_pylist()
    kept.update(slots[slot] for slot in made)
    asked.update(slots[slot] for slot in made)
    # `exhausted` is no ask: it stands for a slot that ended without a caption.
    asked.update(slots[int(each.key.split("-")[2])] for each in read_rejects(address) if each.reason != "exhausted")
