"""Clean raw names, and say why one cannot name a concept. Pure."""

import re
import unicodedata

from data_specs.concept import Kind

LONGEST = 80
"""Characters. The longest of ImageNet's curated names has 32; longer ones are sentences, not names."""
JOINERS = "\u200c\u200d"
"""Zero-width, but letters of some scripts and the people among emoji are written with them."""

_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")  # soft hyphen, zero-width space, word joiner, byte order mark
_SYNSET_NAME = re.compile(r"(.+)\.[nvars]\.\d{2,3}")  # dog.n.01
_SYNSET_ID = re.compile(
    r"[nvars]\d{8}(?:-[nvars])?|\d{8}-[nvars]"
)  # n02084071, 02084071-n; of other parts of speech too
_BEFORE_NAME = re.compile(rf"(?:{_SYNSET_ID.pattern})[\s:,_]+(?=\S)")
_PLACES = re.compile(r"/[a-z]/([^/]+?)(?:/[^/]*?)?(?:\s+\d+)?")  # /c/church/indoor 91
_WHERE = re.compile(r"[ /_-](?:indoor|outdoor)$", re.IGNORECASE)


def clean(raw: str, kind: Kind = "object") -> str:
    """The bare name: unicode composed (NFKC), one space for underscores and runs of white space, case kept as in SynCLR.

    Removes the marks of published lists: synset ids, and the path and index of `places.txt`. A place loses a final
    `indoor` or `outdoor`, as in SynCLR's script, which merges church/indoor with church/outdoor that way.
    """
    name = " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFKC", raw)).split())
    name = _BEFORE_NAME.sub("", name, count=1) if _BEFORE_NAME.match(name) else name
    if synset := _SYNSET_NAME.fullmatch(name):
        name = synset[1]
    if place := _PLACES.fullmatch(name):
        name = place[1]
    if kind == "place":
        name = _WHERE.sub("", name)
    return " ".join(name.replace("_", " ").split())


def fault(name: str) -> str | None:
    """`empty`, `too_long`, `control_characters`, `synset_unknown`, or None for a usable name."""
    if not any(character.isalnum() for character in name):
        return "empty"
    if len(name) > LONGEST:
        return "too_long"
    if any(unicodedata.category(character).startswith("C") and character not in JOINERS for character in name):
        return "control_characters"
    if _SYNSET_ID.fullmatch(name):
        return "synset_unknown"
    return None
