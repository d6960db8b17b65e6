"""Read the words of synsets from WordNet's own noun files. Downloads nothing."""

import re
from collections.abc import Iterator

from data_specs.errors import SpecError
from data_specs.specs.concepts import WordNetSource
from tasks.concepts import list_files

LEXICOGRAPHER_FILES = [
    "noun.Tops",
    "noun.act",
    "noun.animal",
    "noun.artifact",
    "noun.attribute",
    "noun.body",
    "noun.cognition",
    "noun.communication",
    "noun.event",
    "noun.feeling",
    "noun.food",
    "noun.group",
    "noun.location",
    "noun.motive",
    "noun.object",
    "noun.person",
    "noun.phenomenon",
    "noun.plant",
    "noun.possession",
    "noun.process",
    "noun.quantity",
    "noun.relation",
    "noun.shape",
    "noun.state",
    "noun.substance",
    "noun.time",
]
FIRST_FILE = 3
"""The number of `noun.Tops` in a line of `data.noun`; the others follow in order."""
_SYNSET = re.compile(r"(?:wn:?\d*[-:])?([nvars]?)(\d{1,8})(?:-?([nvars]))?", re.IGNORECASE)
"""n02084071, 02084071-n, the 2084071 of a spreadsheet, wn:02084071n."""
_SYNSET_LINE = re.compile(r"\d{8} \d\d n [0-9a-f]{2} \S+ \S")
_VERSION = re.compile(r"WordNet (?:Release )?(\d+(?:\.\d+)+)")


def words(source: WordNetSource) -> Iterator[str]:
    """Raises SpecError for a file that is neither of the two, a choice that `index.noun` alone cannot answer, or most synsets
    unknown, which is another version of WordNet.
    """
    everything = _lines(source.path)
    lines = [line for line in everything if not line.startswith("  ")]  # the licence is indented by two
    if all(len(line.split()) > 4 and line.split()[1] == "n" for line in lines):
        if source.synsets or source.lexicographer_files:
            raise SpecError(f"concepts.sources: {source.path!r} lists words, not synsets; choose synsets of data.noun")
        yield from (line.split()[0] for line in lines)
    elif all(_SYNSET_LINE.match(line) for line in lines):
        yield from _chosen(source, lines, _version(everything))
    else:
        raise SpecError(f"concepts.sources: {source.path!r} is neither WordNet's data.noun nor its index.noun")


def files(source: WordNetSource) -> list[str]:
    return [source.path, *([source.synsets] if source.synsets else [])]


def _chosen(source: WordNetSource, lines: list[str], version: str) -> Iterator[str]:
    numbers = {_file_number(name) for name in source.lexicographer_files}
    first_words, left_out = dict[str, str](), set[str]()
    for line in lines:
        place, file, _, _, word = line.split(maxsplit=5)[:5]
        if not numbers or int(file) in numbers:
            first_words[place] = word
        else:
            left_out.add(place)
    if source.synsets is None:
        yield from first_words.values()
        return
    listed = [(line, _offset(line)) for line in _lines(source.synsets)]
    known = first_words.keys() | left_out
    ids = [offset for _, offset in listed if offset]
    unknown = [offset for offset in ids if offset not in known]
    if 2 * len(unknown) > len(ids):
        if 2 * len(verbs := [offset for offset in unknown if not offset.isdecimal()]) > len(unknown):
            raise SpecError(
                f"concepts.sources: {len(verbs):,} of {len(ids):,} synsets of {source.synsets!r}, such as {verbs[0]}, are no "
                f"nouns, which {source.path!r} holds alone; list synsets of nouns (n02084071)"
            )
        raise SpecError(
            f"concepts.sources: {len(unknown):,} of {len(ids):,} synsets of {source.synsets!r}, such as {unknown[0]}, are not in "
            f"{source.path!r}, {version}; ids are places in one version's file: take the data.noun of the version that "
            "the list was made with (ImageNet's is 3.0)"
        )
    for line, offset in listed:
        if offset is None:
            yield line  # dog.n.01 contains its name
        elif offset not in left_out:
            # An id that is not found stays one: `naming.fault` refuses and counts it, unless the list names it itself.
            yield first_words.get(offset, " ".join([f"n{offset}", *line.split(maxsplit=1)[1:]]))


def _offset(line: str) -> str | None:
    """The place in data.noun that a line names; None where it names none. That of a verb is in no file of nouns."""
    found = _SYNSET.fullmatch(line.split()[0])
    if found is None:
        return None
    before, digits, after = found.groups()
    part = (before or after or "n").lower()
    return digits.zfill(8) if part == "n" else f"{digits.zfill(8)}-{part}"


def _version(lines: list[str]) -> str:
    """What the licence at the head of the file says of it."""
    found = _VERSION.search("\n".join(line for line in lines[:60] if line.startswith("  ")))
    return f"which is WordNet {found[1]}" if found else "which does not say of which version it is"


def _file_number(name: str) -> int:
    if name not in LEXICOGRAPHER_FILES:
        raise SpecError(f"concepts.sources: lexicographer file {name!r} is none of {', '.join(LEXICOGRAPHER_FILES)}")
    return LEXICOGRAPHER_FILES.index(name) + FIRST_FILE


def _lines(path: str) -> list[str]:
    return [line for line in list_files.text(list_files.read(path), path).splitlines() if line.strip()]
