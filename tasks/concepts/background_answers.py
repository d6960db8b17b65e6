"""What an LLM answered about an object enters; places that may stand behind it leave, and what was refused, with why. Pure."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from data_specs.background_prompt import SEPARATOR, BackgroundPrompt
from data_specs.prompt_set import ARROW

Reason = Literal[
    "empty",
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
"""`repeated` and `surplus` are found beside what is kept already, `too_few` at the end, the others by the text alone."""
MOST_WORDS = 6
"""Of a place's name; the longest of SynCLR's kind are like `rocky coast with a lighthouse`."""

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
"""Words that a place may open with."""
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
class Refused:
    reason: Reason
    text: str


class Answers:
    """Judges the answers of one prompt file.

    Where all its examples open with a preposition, so must an answer: small models go on with other objects than with
    places (`lion, panther, puma`), and hardly ever write `in a puma`.
    """

    def __init__(self, prompt: BackgroundPrompt) -> None:
        lists = [[tidied(place) for place in example.backgrounds] for example in prompt.examples]
        self._lists = {frozenset(map(fingerprint, places)) for places in lists}
        self._with_where = all(says_where(place) for example in prompt.examples for place in example.backgrounds)

    def read(self, completion: str, concept: str) -> Iterator[str | Refused]:
        """Every part of the answer once, as a place or as a refusal; an answer without any part is one refusal."""
        raw_parts, cut = split(completion)
        parts = [tidied(raw) for raw in raw_parts]
        if not parts:
            yield Refused("empty", completion.strip()[:200])
        # One or two places may well be those of an example; the whole list is a copy of it.
        copied = len(parts) > 1 and frozenset(map(fingerprint, parts)) in self._lists
        for number, (part, raw) in enumerate(zip(parts, raw_parts, strict=True), 1):
            if copied:
                reason: Reason | None = "prompt_leaked"
            elif cut and number == len(parts):
                reason = "cut_off"
            else:
                reason = fault(part, concept) or ("not_a_place" if self._with_where and not says_where(raw) else None)
            yield Refused(reason, raw[:200]) if reason else part


def split(completion: str) -> tuple[list[str], bool]:
    """The parts of the first line, and whether the last was cut at `max_tokens`.

    LLMs write `a, b`, `a; b`, `1. a 2. b`, `- a - b`, `["a", "b"]`, with a sentence and a colon before it or without.
    """
    lines = completion.strip(" \t").splitlines()
    line = _PREAMBLE.sub("", lines[0].strip(), count=1) if lines else ""
    cut = "\n" not in completion
    if line.startswith("["):
        try:
            return [text for part in json.loads(line) if (text := _stripped(str(part)))], False
        except (json.JSONDecodeError, TypeError, RecursionError):
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


def says_where(part: str) -> bool:
    return not WHERE.isdisjoint(words(part)[:1])


def tidied(part: str) -> str:
    """`in the forest` -> `forest`: the place alone, as prompts for captions take it; `under a bridge` stays that."""
    return _LEADING.sub("", part, count=1)


def fault(text: str, concept: str) -> Reason | None:
    """Why these words cannot be the place behind this concept; the first reason found."""
    said = words(text)
    if ARROW in text:
        return "prompt_leaked"
    # `cathedral cathedral`: small models run in circles; no place has one of its words twice.
    twice = len(names := [_singular(word) for word in said if len(word) > 3]) > len(set(names))
    if not any(character.isalpha() for character in text) or _MARKUP.search(text) or twice:
        return "not_a_place"
    if len(said) > MOST_WORDS:
        return "too_long"
    if SENTENCE & set(said) or re.search(r"[.!?] ", text):
        return "sentence"
    if _ACTION.search(text.casefold()):
        return "action"
    return "the_concept" if is_the_concept(said, words(concept)) else None


def is_the_concept(said: list[str], concept: list[str]) -> bool:
    """`red fox` and `fox in the snow` are foxes; `fox den` is a place."""
    place, name = [_singular(word) for word in said], [_singular(word) for word in concept]
    if not name or place[-len(name) :] == name:
        return True
    return place[: len(name)] == name and said[len(name)] in _AFTER.split("|")


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
