"""Extract the caption from a completion, or say why it is refused. Pure."""

from dataclasses import dataclass
from typing import Literal

from data_specs.prompt_set import ARROW, PROMPT_KINDS, PromptSet
from data_specs.specs.captions import CaptionsSpec
from models.captioner.protocol import FILTERED
from tasks.captions.answers import caption_in, speaks_to_the_asker
from tasks.captions.language import may_be_english
from tasks.captions.naming import names, relates, words
from tasks.captions.planning import CaptionPlan
from tasks.captions.unsafe_words import UnsafeWords

Reason = Literal[
    "empty",
    "filtered",
    "prompt_leaked",
    "chatter",
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
"""`duplicate`, `near_duplicate` and `exhausted` depend on the rest of the shard, the others on one caption alone."""
LEAST_LEAK = 4
"""Sentences of a header count as leaked from this many words on; shorter ones may occur in any caption."""


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: Reason
    text: str


class Screen:
    """The rules of one recipe, each of which is a setting; a verdict names the first rule that is broken."""

    def __init__(self, spec: CaptionsSpec, prompts: PromptSet, unsafe: UnsafeWords) -> None:
        self._spec, self._unsafe = spec, unsafe
        pools = [prompts.pool(kind) for kind in PROMPT_KINDS]
        self._examples = {fingerprint(example.caption) for pool in pools for example in pool.examples}
        told = [pool.header for pool in pools] + ([prompts.chat.system] if spec.chat and prompts.chat else [])
        sentences = {fingerprint(part) for text in told for part in text.replace("\n", " ").split(". ")}
        self._headers = tuple(sorted(each for each in sentences if len(each.split()) >= LEAST_LEAK))

    def verdict(self, completion: str, plan: CaptionPlan) -> str | Refusal:
        """The caption in a completion, tidied, or a refusal."""
        if completion == FILTERED:
            return Refusal("filtered", completion.strip())
        spec, answer = self._spec, caption_in(completion, chat=self._spec.chat)
        text, count = answer.text, len(answer.text.split())
        if not text and answer.greeting and spec.refuse_chatter:
            return Refusal("chatter", answer.greeting)
        if not text:
            return Refusal("cut_off" if spec.chat and not answer.ended else "empty", completion)
        if spec.refuse_leaked and self._leaked(text):
            return Refusal("prompt_leaked", text)
        if spec.refuse_chatter and speaks_to_the_asker(text, plan.concept.name):
            return Refusal("chatter", text)
        if not answer.ended:
            return Refusal("cut_off", text)
        if count < spec.min_words:
            return Refusal("too_short", text)
        if count > spec.max_words:
            return Refusal("too_long", text)
        return self._content(text, plan) or text

    def _content(self, text: str, plan: CaptionPlan) -> Refusal | None:
        spec, concept = self._spec, plan.concept.name
        if spec.require_concept and not names(text, concept):
            return Refusal("concept_missing", text)
        if spec.require_background and plan.background and not names(text, plan.background):
            return Refusal("background_missing", text)
        if spec.require_other and plan.other and not names(text, plan.other):
            return Refusal("other_missing", text)
        if spec.require_relation and plan.relation and not relates(text, concept, plan.relation, plan.other):
            return Refusal("relation_missing", text)
        text_words = words(text)
        if spec.language == "en" and not may_be_english(text, text_words, set(words(concept))):
            return Refusal("wrong_language", text)
        if spec.repeated_words is not None and repeats_itself(text_words, spec.repeated_words):
            return Refusal("repetition", text)
        if self._unsafe.found(text):
            return Refusal("unsafe", text)
        return None

    def _leaked(self, text: str) -> bool:
        """Whether the text holds the prompt's arrow or a sentence of its header, or is one of its examples."""
        found = fingerprint(text)
        return ARROW in text or "->" in text or found in self._examples or any(each in found for each in self._headers)


def repeats_itself(text_words: list[str], length: int) -> bool:
    """Whether some `length` words in a row occur twice: `a book is a book is a book`."""
    windows = [tuple(text_words[start : start + length]) for start in range(len(text_words) - length + 1)]
    return len(set(windows)) < len(windows)


def fingerprint(text: str) -> str:
    """Equal for captions that differ in case, spacing or final punctuation alone."""
    return " ".join(text.casefold().split()).rstrip(" .!?")
