"""Find out whether a sentence names a concept, or a relation of two. Plurals and joined or split compounds count. Pure."""

import re
from functools import lru_cache
from typing import Any

from data_specs.prompt_set import RELATIONS

# A word, its inner hyphens and apostrophes taken out: "t-shirt" and "tshirt" are one word.
_WORD = re.compile(r"\w+(?:[-'’]\w+)*")
_INNER = re.compile(r"[-'’]")
_POSSESSIVE = re.compile(r"['’]s$")


def names(text: str, concept: str) -> bool:
    """True if the words of the concept's name stand in the text in a row, in singular or plural."""
    wanted = words(concept)
    if not wanted:
        return False
    found = words(text)
    joined = forms("".join(wanted))
    for start in range(len(found)):
        window = found[start : start + len(wanted)]
        if len(window) == len(wanted) and all(forms(a) & forms(b) for a, b in zip(window, wanted, strict=True)):
            return True
        # One written word more or less: "sail boat" for "sailboat", "icecream" for "ice cream".
        for length in (len(wanted) - 1, len(wanted) + 1):
            if length > 0 and forms("".join(found[start : start + length])) & joined:
                return True
    return False


def relates(text: str, concept: str, relation: str, other: str | None) -> bool:
    """True if the relation stands after the concept and, if there is an `other`, before that one: "a fox under a tree"."""
    text_words = words(text)
    for start in range(len(text_words)):
        # Where both "in" and "in front of" match, the longer one is meant.
        found = max((each for each in RELATIONS if _stands(text_words, start, each)), key=len, default=None)
        if found != relation or not names(" ".join(text_words[:start]), concept):
            continue
        if other is None or names(" ".join(text_words[start + len(relation.split()) :]), other):
            return True
    return False


def _stands(text_words: list[str], start: int, phrase: str) -> bool:
    """Whether the phrase begins at word `start`; "beside" counts as "besides"."""
    wanted = phrase.split()
    window = text_words[start : start + len(wanted)]
    return len(window) == len(wanted) and all(forms(a) & forms(b) for a, b in zip(window, wanted, strict=True))


def words(text: str) -> list[str]:
    """The words of a text for comparison: case folded, without possessives and inner hyphens."""
    found = []
    for match in _WORD.findall(text.casefold()):
        found.append(match if match.isalnum() else _INNER.sub("", _POSSESSIVE.sub("", match)))
    return found


@lru_cache(maxsize=100_000)
def forms(word: str) -> frozenset[str]:
    """The word and every singular it may be the plural of; Latin, Greek and irregular ones come from `inflect`."""
    found = {word}
    if len(word) > 2 and word.isalpha() and (singular := _english().singular_noun(word)):
        found.add(str(singular))
    # Every singular that an ending allows: "axes" belongs to "axe" and to "axis", and the library names one.
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        found.add(word[:-1])
        if word.endswith("es"):
            found.add(word[:-2])
        if word.endswith("ies"):
            found.add(f"{word[:-3]}y")
        if word.endswith("ves"):
            found |= {f"{word[:-3]}f", f"{word[:-3]}fe"}
    return frozenset(found)


@lru_cache(maxsize=1)
def _english() -> Any:
    # Here, and without the checks of types that inflect has typeguard write into itself: 1.7 s of an import of 1.9, and a
    # half of every call.
    import typeguard

    checks: Any = typeguard
    checked, checks.typechecked = checks.typechecked, lambda function: function
    try:
        import inflect
    finally:
        checks.typechecked = checked
    engine = inflect.engine()
    engine.classical(all=True)  # cacti and fungi
    return engine
