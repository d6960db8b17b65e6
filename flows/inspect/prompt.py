"""Build the prompt of a caption again from its record, and say whether it is the one that the language model was given."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from data_specs.concept import from_row
from data_specs.errors import SpecError
from data_specs.prompt_set import PromptSet
from flows.runs.plan import RunPlan
from models.captioner.protocol import Turn, prompt_digest
from tasks.captions.planning import CaptionPlan, examples_for
from tasks.captions.prompt_files import load_prompts
from tasks.captions.prompts import prompt_for

RECORD = ("id", "name", "kind", "category", "weight", "sources", "backgrounds")


def prompt_turns(plan: RunPlan, traced: Mapping[str, Any]) -> tuple[tuple[Turn, ...], str]:
    """The turns of the prompt of a caption that `trace` found (one, of a text to continue), and a note.

    The note is empty if the prompt has the digest of the record; prompt files may have been edited since. No turns where they
    are gone.
    """
    parts, captions, seed = traced["plan"], plan.spec.captions, plan.spec.seed
    about = CaptionPlan(
        parts["shard"],
        parts["slot"],
        parts["slot"] // captions.packing,
        from_row({name: traced["concept"][name] for name in RECORD}),
        parts["strategy"],
        parts["background"],
        parts["relation"],
        parts["other"],
    )
    try:
        prompts = _prompts(captions.prompts)
    except SpecError as error:
        return (), f"the prompt files are not here any more: {error}"
    if captions.chat and prompts.chat is None:
        return (), f"prompt set {captions.prompts!r} tells chat models nothing any more"
    examples = examples_for(about, prompts, seed, traced["caption"]["attempt"])
    prompt = prompt_for(about, prompts, examples, chat=captions.chat)
    turns = (Turn("user", prompt),) if isinstance(prompt, str) else prompt
    same = prompt_digest(prompt) == parts["prompt_digest"]
    return turns, "" if same else f"built with today's prompt files, whose digest is not {parts['prompt_digest']}"


@lru_cache(maxsize=8)
def _prompts(name: str) -> PromptSet:
    """Read once a process, which takes a fifth of a second: files that are edited meanwhile are not those of the record."""
    return load_prompts(name)
