"""Read the words of synsets from WordNet's own noun files. Downloads nothing."""

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


def words(source: WordNetSource) -> Iterator[str]:
    """Raises SpecError for a file that is neither of the two, or a choice that `index.noun` alone cannot answer."""
    lines = [line for line in _lines(source.path) if not line.startswith("  ")]  # the licence is indented by two
    if all(len(line.split()) > 4 and line.split()[1] == "n" for line in lines):
        if source.synsets or source.lexicographer_files:
            raise SpecError(f"concepts.sources: {source.path!r} lists words, not synsets; choose synsets of data.noun")
        yield from (line.split()[0] for line in lines)
    elif all(len(line.split()) > 5 and line[:8].isdigit() and line.split()[2] == "n" for line in lines):
        yield from _chosen(source, lines)
    else:
        raise SpecError(f"concepts.sources: {source.path!r} is neither WordNet's data.noun nor its index.noun")


def files(source: WordNetSource) -> list[str]:
    return [source.path, *([source.synsets] if source.synsets else [])]


def _chosen(source: WordNetSource, lines: list[str]) -> Iterator[str]:
    wanted = {_file_number(name) for name in source.lexicographer_files}
    first_words: dict[str, str] = {}
    for line in lines:
        offset, file, _, _, word = line.split(maxsplit=5)[:5]
        if not wanted or int(file) in wanted:
            first_words[offset] = word
    if source.synsets is None:
        yield from first_words.values()
        return
    for line in _lines(source.synsets):
        # An id that is not found stays as it is: `naming.fault` refuses and counts it. dog.n.01 contains its name.
        yield first_words.get(line.split()[0].removeprefix("n").removesuffix("-n"), line)


def _file_number(name: str) -> int:
    if name not in LEXICOGRAPHER_FILES:
        raise SpecError(f"concepts.sources: lexicographer file {name!r} is none of {', '.join(LEXICOGRAPHER_FILES)}")
    return LEXICOGRAPHER_FILES.index(name) + FIRST_FILE


def _lines(path: str) -> list[str]:
    return [line for line in list_files.text(list_files.read(path), path).splitlines() if line.strip()]
