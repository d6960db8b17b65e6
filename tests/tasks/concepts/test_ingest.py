"""Every name of every source comes out once: as a concept, or as a reject that says why."""

import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_specs.concept import Concept
from data_specs.errors import SpecError
from data_specs.rejection import Rejection
from data_specs.specs.concepts import ConceptsSpec, FileSource, TinyWorldSource
from tasks.concepts.ingest import ingest, ingest_table, read_concepts
from tasks.concepts.sources import fingerprints


def source(path, **settings):
    return FileSource(path=str(path), **settings)


def split(outcomes):
    concepts = [outcome for outcome in outcomes if isinstance(outcome, Concept)]
    rejects = [outcome for outcome in outcomes if isinstance(outcome, Rejection)]
    return concepts, rejects


def test_the_tiny_world_has_192_objects_21_places_12_textures_and_weights_that_sum_to_one():
    concepts, rejects = split(ingest(ConceptsSpec()))
    kinds = [concept.kind for concept in concepts]
    assert (kinds.count("object"), kinds.count("place"), kinds.count("texture"), rejects) == (192, 21, 12, [])
    assert math.isclose(sum(concept.weight for concept in concepts), 1)
    assert math.isclose(sum(concept.weight for concept in concepts if concept.kind == "place"), 0.088)
    assert all(concept.backgrounds for concept in concepts if concept.kind == "object")


def test_text_csv_and_parquet_say_the_same(tmp_path):
    (tmp_path / "a.txt").write_text("red_panda\n  sea   otter\n", encoding="utf-8")
    (tmp_path / "a.csv").write_text("label,where\nred panda,forest|zoo\nsea otter,ocean\n")
    pq.write_table(pa.table({"label": ["red panda", "sea otter"], "where": [["forest"], []]}), tmp_path / "a.parquet")
    names = []
    for each in (
        source(tmp_path / "a.txt"),
        source(tmp_path / "a.csv", column="label", backgrounds_column="where"),
        source(tmp_path / "a.parquet", column="label", backgrounds_column="where"),
    ):
        concepts, _ = split(ingest(ConceptsSpec(sources=(each,))))
        names.append([concept.name for concept in concepts])
        assert math.isclose(sum(concept.weight for concept in concepts), 1)
    assert names == [["red panda", "sea otter"]] * 3


def test_a_name_in_two_sources_is_one_concept_with_both_named(tmp_path):
    (tmp_path / "a.csv").write_text("name,bg\nDog,moon\nDOG,mars\n")
    concepts, rejects = split(
        ingest(ConceptsSpec(sources=(TinyWorldSource(), source(tmp_path / "a.csv", backgrounds_column="bg"))))
    )
    [dog] = [concept for concept in concepts if concept.name.lower() == "dog"]
    assert dog.sources == ("tiny_world", "a.csv")
    assert dog.backgrounds[-2:] == ("moon", "mars")
    assert [reject.reason for reject in rejects] == ["merged", "merged"]


def test_hostile_names_are_counted_rejects(tmp_path):
    (tmp_path / "bad.txt").write_text("dog\n\n" + "x" * 10_000 + "\nbell\x07\n☕☕\ncafé ☕\n", encoding="utf-8")
    concepts, rejects = split(ingest(ConceptsSpec(sources=(source(tmp_path / "bad.txt"),))))
    assert [concept.name for concept in concepts] == ["dog", "café ☕"]
    assert sorted(reject.reason for reject in rejects) == ["control_characters", "empty", "empty", "too_long"]
    assert all(len(reject.text) <= 200 for reject in rejects)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.txt", None, "there is no file"),
        ("empty.txt", b"", "is empty"),
        ("blank.txt", b"\n \n", "is empty"),
        ("latin.txt", "café".encode("latin-1"), "not UTF-8"),
        ("wrong.csv", b"label\ndog\n", "no column 'name'; it has label"),
        ("wrong.parquet", b"not parquet", "not a Parquet file"),
        ("list.xls", b"dog", "use .txt, .csv"),
        ("nothing.csv", b"name\n\n", r"no usable name among 0 entries \(the lists are empty\)"),
        ("ids.txt", b"n02084071\nn02121620\n--\n", r"no usable name among 3 entries \(2 synset_unknown, 1 empty\)"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_in_one_line(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SpecError, match=said) as caught:
        ingest(ConceptsSpec(sources=(source(tmp_path / name),)))
    assert "\n" not in str(caught.value)


def test_weights_are_nested_kind_then_category_then_uniform(tmp_path):
    (tmp_path / "cars.txt").write_text("kombi\nroadster\n")
    (tmp_path / "food.txt").write_text("ramen\n")
    spec = ConceptsSpec(
        sources=(
            source(tmp_path / "cars.txt", category="cars"),
            source(tmp_path / "food.txt", category="food"),
            source(tmp_path / "food.txt", kind="place"),
        ),
        kinds={"object": 0.6, "place": 0.2, "texture": 0.2},
        categories={"cars": 0.3, "food": 0.7},
    )
    concepts, _ = split(ingest(spec))
    # No texture was given: its share goes to the others, in proportion.
    weights = {(concept.kind, concept.name): round(concept.weight, 6) for concept in concepts}
    assert weights == {
        ("object", "kombi"): 0.1125,
        ("object", "roadster"): 0.1125,
        ("object", "ramen"): 0.525,
        ("place", "ramen"): 0.25,
    }


def test_a_category_nobody_has_is_refused(tmp_path):
    with pytest.raises(SpecError, match="no object has the category 'carz'"):
        ingest(ConceptsSpec(categories={"carz": 1.0}))


def test_the_sealed_table_reads_back_and_an_edited_list_is_another_lineage(tmp_path, address):
    (tmp_path / "a.txt").write_text("dog\n")
    spec = ConceptsSpec(sources=(source(tmp_path / "a.txt"),))
    before = fingerprints(spec)
    ingest_table(address(stage="concepts"), ingest(spec), [], spec)
    assert read_concepts(address(stage="concepts")) == ingest(spec)
    (tmp_path / "a.txt").write_text("cat\n")
    assert fingerprints(spec) != before
