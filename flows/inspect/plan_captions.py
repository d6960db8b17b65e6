"""List or count the captions that a recipe plans, without any engine."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from data_specs.concept import Concept
from data_specs.prompt_set import PromptSet
from data_specs.specs.run import RunSpec
from flows.runs.resolve import resolve_concepts
from tasks.captions.plan_summary import counted, expected, summed
from tasks.captions.planning import CaptionPlan, Planner, ask_seed, examples_for
from tasks.captions.prompt_files import prompts_of
from tasks.captions.prompts import prompt_for, write_example
from tasks.concepts.ingest import read_concepts, table_of, without_backgrounds
from tasks.shards import sealed


def plan_captions(spec: RunSpec, head: int = 0, summary_of: int = 0, root: str | None = None) -> dict[str, Any]:
    """The first `head` plans as `plans`; the first `summary_of` counted, beside the counts that the recipe's shares expect.

    Plans are in the order of shards and slots. Backgrounds that an LLM writes are read from the sealed concept table under
    `root`; where it is not sealed yet, a `note` says so. Raises SpecError for a recipe that cannot be planned.
    """
    concepts, note = _table(spec, root)
    planner = Planner(concepts, spec.captions, spec.seed)
    answer: dict[str, Any] = {"note": note} if note else {}
    if summary_of:
        mean = summed(expected(concepts, spec.captions, summary_of))
        answer |= {"planned": summary_of, **summed(counted(_plans(planner, spec, summary_of))), "expected": mean}
    if head:
        prompts = prompts_of(spec.captions)
        answer["plans"] = [_described(plan, prompts, spec) for plan in _plans(planner, spec, head)]
    return answer


def _table(spec: RunSpec, root: str | None) -> tuple[list[Concept], str | None]:
    concepts = table_of(spec.concepts)
    if not (waiting := len(without_backgrounds(concepts, spec.concepts))):
        return concepts, None
    if root is not None and sealed(table := resolve_concepts(spec, root, concepts)["concepts"].table):
        return read_concepts(table), None
    return concepts, (
        f"concepts.backgrounds_by has not written the backgrounds of {waiting} "
        "objects yet: they are planned with what their sources give (`synclr run RECIPE --until concepts` writes them)"
    )


def _plans(planner: Planner, spec: RunSpec, count: int) -> Iterator[CaptionPlan]:
    for index in range(count):
        yield planner.plan(*divmod(index, spec.captions.per_shard))


def _described(plan: CaptionPlan, prompts: PromptSet, spec: RunSpec) -> dict[str, Any]:
    """A plan with the examples, seed and prompt (a text, or the turns of a chat) of the first request for its caption."""
    examples = examples_for(plan, prompts, spec.seed, attempt=0)
    prompt = prompt_for(plan, prompts, examples, chat=spec.captions.chat)
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
        "seed": ask_seed(plan, spec.seed, attempt=0),
        "prompt": prompt if isinstance(prompt, str) else [asdict(turn) for turn in prompt],
    }
