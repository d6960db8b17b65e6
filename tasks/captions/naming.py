"""Does a sentence name a concept? Plural forms and joined or split compounds count. Pure."""

import re

IRREGULAR = {
    "mice": "mouse",
    "geese": "goose",
    "men": "man",
    "women": "woman",
    "children": "child",
    "teeth": "tooth",
    "feet": "foot",
    "people": "person",
    "oxen": "ox",
    "dice": "die",
}
# A word, its inner hyphens and apostrophes taken out: "t-shirt" and "tshirt" are one word.
_WORD = re.compile(r"\w+(?:[-'’]\w+)*")
_INNER = re.compile(r"[-'’]")


def names(text: str, concept: str) -> bool:
    """True if every word of the concept's name stands in the text in a row, in singular or plural."""
    wanted = _words(concept)
    if not wanted:
        return False
    found = _words(text)
    joined = _forms("".join(wanted))
    for start in range(len(found)):
        window = found[start : start + len(wanted)]
        if len(window) == len(wanted) and all(_forms(a) & _forms(b) for a, b in zip(window, wanted, strict=True)):
            return True
        # One written word more or less: "sail boat" for "sailboat", "icecream" for "ice cream".
        for length in (len(wanted) - 1, len(wanted) + 1):
            if length > 0 and _forms("".join(found[start : start + length])) & joined:
                return True
    return False


def _words(text: str) -> list[str]:
    words = []
    for match in _WORD.findall(text.casefold()):
        word = re.sub(r"['’]s$", "", match)
        words.append(_INNER.sub("", word))
    return words


def _forms(word: str) -> set[str]:
    """The word and every singular it may be the plural of."""
    forms = {word, IRREGULAR.get(word, word)}
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        forms.add(word[:-1])
        if word.endswith("es"):
            forms.add(word[:-2])
        if word.endswith("ies"):
            forms.add(f"{word[:-3]}y")
        if word.endswith("ves"):
            forms |= {f"{word[:-3]}f", f"{word[:-3]}fe"}
    return forms
