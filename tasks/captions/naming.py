"""Does a sentence name a concept, or a relation of two? Plural forms and joined or split compounds count. Pure."""

import re
from functools import lru_cache
from typing import Any

from data_specs.prompt_set import RELATIONS

# A word, its inner hyphens and apostrophes taken out: "t-shirt" and "tshirt" are one word.
_WORD = re.compile(r"\w+(?:[-'’]\w+)*")
_INNER = re.compile(r"[-'’]")
_POSSESSIVE = re.compile(r"['’]s$")


def names(text: str, concept: str) -> bool:
    """True if every word of the concept's name stands in the text in a row, in singular or plural."""
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
    """True if the relation stands after the concept and, if another was asked for, before that one: "a fox under a tree"."""
    said = words(text)
    for start in range(len(said)):
        # Of "in" and "in front of" the longer one is said.
        found = max((each for each in RELATIONS if _stands(said, start, each)), key=len, default=None)
        if found != relation or not names(" ".join(said[:start]), concept):
            continue
        if other is None or names(" ".join(said[start + len(relation.split()) :]), other):
            return True
    return False


def _stands(said: list[str], start: int, phrase: str) -> bool:
    """Word by word; "beside" is "besides"."""
    wanted = phrase.split()
    window = said[start : start + len(wanted)]
    return len(window) == len(wanted) and all(forms(a) & forms(b) for a, b in zip(window, wanted, strict=True))


def words(text: str) -> list[str]:
    """As they are compared: case folded, possessives and inner hyphens taken out."""
    found = []
    for match in _WORD.findall(text.casefold()):
        found.append(match if match.isalnum() else _INNER.sub("", _POSSESSIVE.sub("", match)))
    return found


@lru_cache(maxsize=100_000)
def forms(word: str) -> frozenset[str]:
    """The word and every singular it may be the plural of, those of Latin and Greek and irregular ones by `inflect`."""
    found = {word}
    if len(word) > 2 and word.isalpha() and (singular := _english().singular_noun(word)):
        found.add(str(singular))
    # All that an ending may stand for: axes are of an axe and of an axis, and the library names one.
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
    import inflect  # here: it takes a quarter of a second, which `status` need not

    engine = inflect.engine()
    engine.classical(all=True)  # cacti and fungi
    return engine
