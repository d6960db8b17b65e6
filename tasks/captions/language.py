"""Judge whether a sentence may be English, by its alphabet and two lists of function words. Pure, no model.

A sentence is refused if it has more function words of other languages than English ones, or too many letters of other
alphabets. One without any function word passes: names of things are often foreign, and each refusal costs another request.
"""

import unicodedata

LATIN_SHARE = 0.8
"""Least share of all letters; less than 1, since a concept's own name may be in another alphabet."""
_ENGLISH = """
a an the and or of in on at by with from to for is are was as it its that this into over under above below behind beside
besides near next front between through his her their while
"""
_FOREIGN = """
der das und ein eine einer einem einen mit im auf dem den ist nicht von zu für
le la les des du une un et dans avec sur est aux au ses
el los las una uno con del y es su sobre
il lo gli di della del nel nella sul che
um uma com os da do na em dos das
het een van op met de
og på en som med och ett det
i w z się dla jest
"""
ENGLISH = frozenset(_ENGLISH.split())
FOREIGN = frozenset(_FOREIGN.split())
"""German, French, Spanish, Italian, Portuguese, Dutch, the Nordic languages and Polish, a line each."""


def may_be_english(text: str, words: list[str], known: set[str]) -> bool:
    """`words` are those of `text`; words in `known`, the concept's own name, are not counted."""
    letters = [character for character in text if character.isalpha()]
    latin = sum(unicodedata.name(character, "").startswith("LATIN") for character in letters)
    if latin < LATIN_SHARE * len(letters):
        return False
    counted = [word for word in words if word not in known]
    return sum(word in FOREIGN for word in counted) <= sum(word in ENGLISH for word in counted)
