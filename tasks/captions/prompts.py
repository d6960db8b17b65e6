"""Write the prompt for a plan: the text that the LLM continues. Pure."""

from collections.abc import Sequence

from data_specs.ids import digest
from data_specs.prompt_set import ARROW, Example
from tasks.captions.planning import CaptionPlan


def write_prompt(plan: CaptionPlan, header: str, examples: Sequence[Example]) -> str:
    """Header, examples and open query, separated by blank lines; the query ends in the arrow, without a space after it."""
    with_other = plan.other is not None
    query = f"{given(plan, with_other=with_other)} {ARROW}"
    return "\n\n".join([header, *(write_example(example, with_other=with_other) for example in examples), query])


def write_example(example: Example, *, with_other: bool) -> str:
    return f"{given(example, with_other=with_other)} {ARROW} {example.caption}"


def given(source: CaptionPlan | Example, *, with_other: bool) -> str:
    """`concept`, `concept, background`, `concept, relation` or `concept, relation, other`."""
    name = source.concept if isinstance(source, Example) else source.concept.name
    parts = (name, source.background, source.relation, source.other if with_other else None)
    return ", ".join(part for part in parts if part is not None)


def prompt_digest(prompt: str) -> str:
    return digest("prompt", prompt)
