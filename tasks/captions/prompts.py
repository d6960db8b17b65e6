"""Write the prompt for a plan: the text that a base model continues, or the chat that a chat model answers. Pure."""

from collections.abc import Sequence

from data_specs.prompt_set import ARROW, Example, PromptSet
from models.captioner.protocol import Prompt, Turn
from tasks.captions.planning import CaptionPlan


def prompt_for(plan: CaptionPlan, prompts: PromptSet, examples: Sequence[Example], *, chat: bool) -> Prompt:
    header = prompts.pool(plan.prompt_kind).header
    if not chat:
        return write_prompt(plan, header, examples)
    assert prompts.chat is not None
    return write_chat(plan, f"{prompts.chat.system.strip()}\n{header}", examples)


def write_prompt(plan: CaptionPlan, header: str, examples: Sequence[Example]) -> str:
    """Header, examples and open query, separated by blank lines; the query ends in the arrow, without a space after it."""
    with_other = plan.other is not None
    query = f"{given(plan, with_other=with_other)} {ARROW}"
    return "\n\n".join([header, *(write_example(example, with_other=with_other) for example in examples), query])


def write_chat(plan: CaptionPlan, system: str, examples: Sequence[Example]) -> tuple[Turn, ...]:
    """The system prompt, the examples as questions and answers, and the query, which ends the chat."""
    with_other = plan.other is not None
    shown = [
        turn
        for example in examples
        for turn in (Turn("user", given(example, with_other=with_other)), Turn("assistant", example.caption))
    ]
    return (Turn("system", system), *shown, Turn("user", given(plan, with_other=with_other)))


def write_example(example: Example, *, with_other: bool) -> str:
    return f"{given(example, with_other=with_other)} {ARROW} {example.caption}"


def given(source: CaptionPlan | Example, *, with_other: bool) -> str:
    """`concept`, `concept, background`, `concept, relation` or `concept, relation, other`."""
    name = source.concept if isinstance(source, Example) else source.concept.name
    parts = (name, source.background, source.relation, source.other if with_other else None)
    return ", ".join(part for part in parts if part is not None)
