"""A completion enters; the caption in it leaves, or the reason why there is none. Pure."""

from dataclasses import dataclass
from typing import Literal

from data_specs.prompt_set import ARROW, PROMPT_KINDS, PromptSet
from data_specs.run import CaptionsSpec
from tasks.captions.language import may_be_english
from tasks.captions.naming import names, relates, words
from tasks.captions.planning import Plan
from tasks.captions.unsafe_words import UnsafeWords

Reason = Literal[
    "empty",
    "prompt_leaked",
    "cut_off",
    "too_short",
    "too_long",
    "concept_missing",
    "background_missing",
    "other_missing",
    "relation_missing",
    "wrong_language",
    "repetition",
    "unsafe",
    "duplicate",
    "near_duplicate",
    "exhausted",
]
"""`duplicate`, `near_duplicate` and `exhausted` are found by the shard, the others by one caption alone."""
LEAST_LEAK = 4
"""Words of a header's sentence that count as leaked; shorter ones may stand in any caption."""


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: Reason
    text: str


class Screen:
    """The rules of one recipe, each of which can be set; the first one broken is told."""

    def __init__(self, spec: CaptionsSpec, prompts: PromptSet, unsafe: UnsafeWords) -> None:
        self._spec, self._unsafe = spec, unsafe
        pools = [prompts.pool(kind) for kind in PROMPT_KINDS]
        self._examples = {fingerprint(example.caption) for pool in pools for example in pool.examples}
        sentences = {fingerprint(part) for pool in pools for part in pool.header.replace("\n", " ").split(". ")}
        self._headers = tuple(sorted(each for each in sentences if len(each.split()) >= LEAST_LEAK))

    def verdict(self, completion: str, plan: Plan) -> str | Refusal:
        """The first line, tidied: a base LLM goes on with further `x => y` pairs after it.

        A completion without a line break was cut at `max_tokens`, in the middle of its sentence.
        """
        spec, text = self._spec, first_line(completion)
        count = len(text.split())
        if not text:
            return Refusal("empty", completion)
        if spec.refuse_leaked and self._leaked(text):
            return Refusal("prompt_leaked", text)
        if "\n" not in completion:
            return Refusal("cut_off", text)
        if count < spec.min_words:
            return Refusal("too_short", text)
        if count > spec.max_words:
            return Refusal("too_long", text)
        return self._content(text, plan) or text

    def _content(self, text: str, plan: Plan) -> Refusal | None:
        spec, concept = self._spec, plan.concept.name
        if spec.require_concept and not names(text, concept):
            return Refusal("concept_missing", text)
        if spec.require_background and plan.background and not names(text, plan.background):
            return Refusal("background_missing", text)
        if spec.require_other and plan.other and not names(text, plan.other):
            return Refusal("other_missing", text)
        if spec.require_relation and plan.relation and not relates(text, concept, plan.relation, plan.other):
            return Refusal("relation_missing", text)
        said = words(text)
        if spec.language == "en" and not may_be_english(text, said, set(words(concept))):
            return Refusal("wrong_language", text)
        if spec.repeated_words is not None and repeats(said, spec.repeated_words):
            return Refusal("repetition", text)
        if self._unsafe.found(text):
            return Refusal("unsafe", text)
        return None

    def _leaked(self, text: str) -> bool:
        """Signs of the prompt's form, a sentence of its header, or one of its examples given as the answer."""
        said = fingerprint(text)
        return ARROW in text or "->" in text or said in self._examples or any(each in said for each in self._headers)


def first_line(completion: str) -> str:
    """Without space around it, runs of spaces inside it, or quotation marks around the whole."""
    lines = completion.lstrip(" \t").splitlines()
    text = " ".join(lines[0].split()) if lines else ""
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1].strip()
    return text


def repeats(said: list[str], length: int) -> bool:
    """Some `length` words in a row are said twice: `a book is a book is a book`."""
    windows = [tuple(said[start : start + length]) for start in range(len(said) - length + 1)]
    return len(set(windows)) < len(windows)


def fingerprint(text: str) -> str:
    """Equal for captions that differ in case, spacing or final punctuation alone."""
    return " ".join(text.casefold().split()).rstrip(" .!?")
