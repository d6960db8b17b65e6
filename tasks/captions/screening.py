"""A completion enters; the caption in it leaves, or the reason why there is none. Pure."""

from dataclasses import dataclass
from typing import Literal

from data_specs.prompt_set import ARROW
from data_specs.run import CaptionsSpec
from tasks.captions.naming import names

Reason = Literal[
    "empty", "prompt_leaked", "cut_off", "too_short", "too_long", "concept_missing", "duplicate", "exhausted"
]
"""`duplicate` and `exhausted` are found by the shard, the others by one caption alone."""


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: Reason
    text: str


def screen(completion: str, concept: str, spec: CaptionsSpec) -> str | Refusal:
    """The first line, tidied: a base LLM goes on with further `x => y` pairs after it. The first rule broken is told.

    A completion without a line break was cut at `max_tokens`, in the middle of its sentence.
    """
    text = first_line(completion)
    words = len(text.split())
    if not text:
        return Refusal("empty", completion)
    if ARROW in text or "->" in text:
        return Refusal("prompt_leaked", text)
    if "\n" not in completion:
        return Refusal("cut_off", text)
    if words < spec.min_words:
        return Refusal("too_short", text)
    if words > spec.max_words:
        return Refusal("too_long", text)
    if not names(text, concept):
        return Refusal("concept_missing", text)
    return text


def first_line(completion: str) -> str:
    """Without space around it, runs of spaces inside it, or quotation marks around the whole."""
    lines = completion.lstrip(" \t").splitlines()
    text = " ".join(lines[0].split()) if lines else ""
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1].strip()
    return text


def fingerprint(text: str) -> str:
    """Equal for captions that differ in case, spacing or final punctuation alone."""
    return " ".join(text.casefold().split()).rstrip(" .!?")
