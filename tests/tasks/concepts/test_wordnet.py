"""Ids of synsets are places in one version's file: a list for another version is refused, and an id is never a name."""

import pytest

from data_specs.concept import Concept
from data_specs.errors import SpecError
from data_specs.specs.concepts import ConceptsSpec, WordNetSource
from tasks.concepts.ingest import ingest

SYNSETS = [
    ("02084071", "05", "dog"),
    ("02121620", "05", "cat"),
    ("02085374", "05", "hound"),
    ("07697537", "13", "hot_dog"),
    ("07873807", "13", "pizza"),
]
LICENCE = "  1 This software and database is provided as it stands.\n  2 WordNet 3.1 Copyright 2011 by its makers.\n"
DATA = "".join(f"{offset} {file} n 01 {word} 0 001 @ 00001740 n 0000 | about it\n" for offset, file, word in SYNSETS)


@pytest.fixture
def outcomes(tmp_path):
    def ingested(synsets, data=LICENCE + DATA, **settings):
        (tmp_path / "data.noun").write_text(data)
        (tmp_path / "synsets.txt").write_text("\n".join(synsets) + "\n")
        source = WordNetSource(path=str(tmp_path / "data.noun"), synsets=str(tmp_path / "synsets.txt"), **settings)
        found = ingest(ConceptsSpec(sources=(source,)))
        kept = [each.name for each in found if isinstance(each, Concept)]
        return kept, [(each.reason, each.text) for each in found if not isinstance(each, Concept)]

    return ingested


def test_ids_of_another_version_are_refused_with_the_version_of_the_file(outcomes):
    ids = [f"n{number:08d}" for number in range(1_000, 1_100)]
    with pytest.raises(
        SpecError, match=r"100 of 102 synsets of '.*synsets.txt', such as 00001000, are not in .* WordNet 3\.1"
    ):
        outcomes([*ids, "n02084071", "n02121620"])
    with pytest.raises(SpecError, match=r"does not say of which version.*ImageNet's is 3\.0"):
        outcomes(ids, DATA)


def test_ids_of_other_parts_of_speech_are_refused_as_what_they_are(outcomes):
    with pytest.raises(SpecError, match=r"2 of 3 synsets of '.*synsets.txt', such as 02084071-v, are no nouns"):
        outcomes(["v02084071", "02121620-a", "n02084071"])


def test_a_few_unknown_ids_are_rejects(outcomes):
    kept, rejects = outcomes(["n02084071", "02121620-n", "n99999999"])
    assert (kept, rejects) == (["dog", "cat"], [("synset_unknown", "n99999999")])


@pytest.mark.parametrize(
    "written",
    ["n02084071", "02084071-n", "02084071", "2084071", "N02084071", "n2084071", "wn:02084071n", "wn30-02084071-n"],
)
def test_an_id_is_found_however_it_is_written(outcomes, written):
    assert outcomes([written]) == (["dog"], [])


@pytest.mark.parametrize(
    "written", ["99999999", "9999999", "99999999-n", "02084071-v", "v02084071", "02084071-a", "r00001740"]
)
def test_an_id_that_is_unknown_is_never_a_name(outcomes, written):
    kept, [(reason, _)] = outcomes(["n02084071", "n02121620", written])
    assert (kept, reason) == (["dog", "cat"], "synset_unknown")


def test_an_id_in_another_lexicographer_file_is_left_out_and_not_unknown(outcomes):
    ids = [f"n{offset}" for offset, _, _ in SYNSETS]
    assert outcomes(ids, lexicographer_files=("noun.food",)) == (["hot dog", "pizza"], [])


def test_names_beside_ids_and_names_of_synsets_stand_for_themselves(outcomes):
    kept, rejects = outcomes(["n02084071 my dog", "n02121620", "n99999999 sea otter", "red_fox.n.01"])
    assert (kept, rejects) == (["dog", "cat", "sea otter", "red fox"], [])


@pytest.mark.parametrize(
    "line", ["02084071 xx n 01 dog 0 000 | a", "02084071 05 v 01 run 0 000 | a", "2084071 05 n 01 dog 0 000 | a"]
)
def test_lines_that_are_no_synsets_of_nouns_are_refused(outcomes, line):
    with pytest.raises(SpecError, match="neither WordNet's data.noun nor its index.noun"):
        outcomes(["n02084071"], DATA + line + "\n", lexicographer_files=("noun.food",))
