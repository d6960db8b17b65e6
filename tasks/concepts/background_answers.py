"""Parse an LLM's answer about an object into places that may stand behind it, and refusals with a reason. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from data_specs.background_prompt import SEPARATOR, BackgroundPrompt
from data_specs.json_text import parse_json
from data_specs.prompt_set import ARROW
from models.captioner.protocol import FILTERED

Reason = Literal[
    "empty",
    "filtered",
    "prompt_leaked",
    "cut_off",
    "not_a_place",
    "too_long",
    "sentence",
    "action",
    "the_concept",
    "repeated",
    "surplus",
    "too_few",
]
"""`repeated` and `surplus` depend on what was kept before, `too_few` is found at the end, the others by the text alone."""
MOST_WORDS = 6
"""In a place's name; the longest of SynCLR's kind are like `rocky coast with a lighthouse`."""

_BULLET = r"(?:\d{1,3}[.)]|[-*•–])"
_BULLETS = re.compile(rf"(?:^|\s){_BULLET}\s+")
_PREAMBLE = re.compile(r"^[^,;|:]{0,80}:\s*(?=\S)")  # `Here are eight places:`
_LEADING = re.compile(r"^(?:(?:in|on|at|inside|within)\s+)?(?:(?:a|an|the)\s+)?(?=\w)", re.IGNORECASE)
_WORD = re.compile(r"\w+(?:[-'’]\w+)*")
_MARKUP = re.compile(r"[=<>{}\[\]@#_\\/:\"|]|->")
_WHERE = """
in on at by near under over behind beside inside within above below outside next among between along across around
against beneath underneath through
"""
WHERE = frozenset(_WHERE.split())
"""Prepositions that a place may begin with."""
_AFTER = "|".join(sorted({*WHERE, "with", "into", "from", "for", "to", "of"}))
_ACTION = re.compile(rf"\b\w{{2,}}ing (?:{_AFTER}|a|an|the|its|his|her|their)\b")
_SENTENCE = """
is are was were be been being am has have had can could will would should must does do did
i you he she it we they them him who which that because if when
sits lies runs swims grazes eats sleeps hangs waits looks jumps shows makes goes comes
"""
SENTENCE = frozenset(_SENTENCE.split())
"""Words that stand in sentences about a place, and not in its name."""


@dataclass(frozen=True, slots=True)
class RefusedAnswer:
    reason: Reason
    text: str


class AnswerReader:
    """Reads answers to the prompts of one prompt file.

    Where all examples of the file begin with a preposition, each place must too: small models tend to continue with other
    objects (`lion, panther, puma`) instead of places, and hardly ever write `in a puma`.
    """

    def __init__(self, prompt: BackgroundPrompt) -> None:
        lists = [[tidied(place) for place in example.backgrounds] for example in prompt.examples]
        self._lists = {frozenset(map(fingerprint, places)) for places in lists}
        self._need_preposition = all(
            begins_with_preposition(place) for example in prompt.examples for place in example.backgrounds
        )

    def read(self, completion: str, concept: str) -> Iterator[str | RefusedAnswer]:
        """Yields each part of the answer, as a place or as a refusal; an answer without any part is one refusal."""
        if completion == FILTERED:
            yield RefusedAnswer("filtered", completion.strip())
            return
        raw_parts, cut = split(completion)
        parts = [tidied(raw) for raw in raw_parts]
        if not parts:
            yield RefusedAnswer("empty", completion.strip()[:200])
        # One or two places may coincide with an example's; a list that equals one was copied from it.
        copied = len(parts) > 1 and frozenset(map(fingerprint, parts)) in self._lists
        for number, (part, raw) in enumerate(zip(parts, raw_parts, strict=True), 1):
            if copied:
                reason: Reason | None = "prompt_leaked"
            elif cut and number == len(parts):
                reason = "cut_off"
            else:
                reason = fault(part, concept)
                if reason is None and self._need_preposition and not begins_with_preposition(raw):
                    reason = "not_a_place"
            yield RefusedAnswer(reason, raw[:200]) if reason else part


def answer_in_one_line(answer: str) -> str:
    """A chat model's answer as a base model writes it: its first line but greetings (`Here are some:`), or all of a list."""
    lines = [line.strip() for line in answer.splitlines()]
    lines = [line for line in lines if line and not line.endswith(":")]
    listed = [line for line in lines if _BULLETS.match(line)]
    return "; ".join(listed or lines[:1]) + ("\n" if answer.endswith("\n") or len(lines) > max(len(listed), 1) else "")


def split(completion: str) -> tuple[list[str], bool]:
    """The parts of the first line, and whether the last one was cut off at `max_tokens`.

    LLMs write `a, b`, `a; b`, `1. a 2. b`, `- a - b`, `["a", "b"]`, with a sentence and a colon before it or without.
    """
    lines = completion.strip(" \t").splitlines()
    line = _PREAMBLE.sub("", lines[0].strip(), count=1) if lines else ""
    cut = "\n" not in completion
    if line.startswith("["):
        try:
            return [text for part in parse_json(line) if (text := _stripped(str(part)))], False
        except (ValueError, TypeError):
            line = line.strip("[]")
    if len(_BULLETS.findall(f" {line}")) > 1:
        raw = _BULLETS.split(line)
    else:
        mark = next((each for each in (";", "|", "•") if each in line), SEPARATOR.strip())
        raw = line.split(mark)
    return [text for part in raw if (text := _stripped(part))], cut


def _stripped(part: str) -> str:
    """Without number, bullet, quotation marks, full stop, or the `and` of the last in a list."""
    text = re.sub(rf"^{_BULLET}\s+", "", " ".join(part.split()))
    text = text.strip(" \"'“”‘’`*,;").rstrip(".!?,; ")
    return re.sub(r"^(?:and|or)\s+", "", text, flags=re.IGNORECASE)


def begins_with_preposition(part: str) -> bool:
    return not WHERE.isdisjoint(words(part)[:1])


def tidied(part: str) -> str:
    """`in the forest` -> `forest`: the place alone, as caption prompts need it; `under a bridge` stays as it is."""
    return _LEADING.sub("", part, count=1)


def fault(text: str, concept: str) -> Reason | None:
    """The first reason why these words cannot name the place behind this concept; None if there is none."""
    found = words(text)
    if ARROW in text:
        return "prompt_leaked"
    # `cathedral cathedral`: small models run in circles; no place has one of its words twice.
    twice = len(names := [_singular(word) for word in found if len(word) > 3]) > len(set(names))
    if not any(character.isalpha() for character in text) or _MARKUP.search(text) or twice:
        return "not_a_place"
    if len(found) > MOST_WORDS:
        return "too_long"
    if SENTENCE & set(found) or re.search(r"[.!?] ", text):
        return "sentence"
    if _ACTION.search(text.casefold()):
        return "action"
    return "the_concept" if is_the_concept(found, words(concept)) else None


def is_the_concept(part: list[str], concept: list[str]) -> bool:
    """`red fox` and `fox in the snow` are foxes; `fox den` is a place."""
    place, name = [_singular(word) for word in part], [_singular(word) for word in concept]
    if not name or place[-len(name) :] == name:
        return True
    return place[: len(name)] == name and part[len(name)] in _AFTER.split("|")


def words(text: str) -> list[str]:
    found: list[str] = _WORD.findall(text.casefold())
    return found


def fingerprint(text: str) -> str:
    """Equal for places that differ in case, articles and plural alone."""
    return " ".join(_singular(word) for word in words(text) if word not in ("a", "an", "the"))


def _singular(word: str) -> str:
    if word.endswith(("xes", "zes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
