"""A recipe enters; what its captions are to be, one by one or counted by sort, leaves. No engine, no root, no shard."""

from collections.abc import Iterator
from typing import Any

from data_specs.prompt_set import PromptSet
from data_specs.run import RunSpec
from tasks.captions.plan_summary import counted, expected, summed
from tasks.captions.planning import Plan, Planner, ask_seed, examples_for
from tasks.captions.prompt_files import load_prompts
from tasks.captions.prompts import write_example, write_prompt
from tasks.concepts.ingest import table_of


def plan_captions(spec: RunSpec, head: int = 0, summary_of: int = 0) -> dict[str, Any]:
    """The first `head` plans as `plans`; the first `summary_of` counted, beside what the recipe's shares expect.

    Slot by slot through shard 0, then 1, and so on, as the room makes them. Raises SpecError for a recipe that cannot be planned.
    """
    concepts = table_of(spec.concepts)
    planner = Planner(concepts, spec.captions, spec.seed)
    answer: dict[str, Any] = {}
    if summary_of:
        mean = summed(expected(concepts, spec.captions, summary_of))
        answer = {"planned": summary_of, **summed(counted(_plans(planner, spec, summary_of))), "expected": mean}
    if head:
        prompts = load_prompts(spec.captions.prompts)
        answer["plans"] = [_described(plan, prompts, spec.seed) for plan in _plans(planner, spec, head)]
    return answer


def _plans(planner: Planner, spec: RunSpec, count: int) -> Iterator[Plan]:
    for index in range(count):
        yield planner.plan(*divmod(index, spec.captions.per_shard))


def _described(plan: Plan, prompts: PromptSet, seed: int) -> dict[str, Any]:
    """All that the first ask for a caption follows from."""
    examples = examples_for(plan, prompts, seed, attempt=0)
    return {
        "shard": plan.shard,
        "slot": plan.slot,
        "concept_id": plan.concept.id,
        "concept": plan.concept.name,
        "kind": plan.concept.kind,
        "category": plan.concept.category,
        "strategy": plan.strategy,
        "background": plan.background,
        "relation": plan.relation,
        "other": plan.other,
        "examples": [write_example(example, with_other=plan.other is not None) for example in examples],
        "seed": ask_seed(plan, seed, attempt=0),
        "prompt": write_prompt(plan, prompts.pool(plan.prompt_kind).header, examples),
    }
