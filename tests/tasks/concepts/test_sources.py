"""Lists in the forms that people have them, SynCLR's own among them: the same names come out, or one clear line."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_specs.concept import Concept
from data_specs.errors import SpecError
from data_specs.rejection import Rejection
from data_specs.specs.concepts import ConceptsSpec, FileSource, HuggingFaceSource, WordNetSource
from tasks.concepts.ingest import ingest
from tasks.concepts.naming import clean, fault
from tasks.concepts.sources import fingerprint

LABELS = {"imagenet": ["tench", "sunglasses", "missile", "sunglasses"], "cars": ["Acura RL Sedan 2012"]}
BACKGROUNDS = {"red panda": ["Bamboo Forest", "zoo"], "sea otter": ["kelp bed"]}
DATA_NOUN = """\
  1 This software and database is provided as it stands.
02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 001 @ 02083346 n 0000 | a member of the genus Canis
02121620 05 n 02 cat 0 true_cat 0 001 @ 02120997 n 0000 | feline mammal
07697537 13 n 02 hot_dog 0 hotdog 1 001 @ 07697100 n 0000 | a frankfurter on a bun
"""
INDEX_NOUN = "  1 licence\ndog n 7 5 @ ~ #m %p + 7 1 02084071 10114209\nhot_dog n 3 1 @ 3 0 07697537\n"


def ingested(*sources):
    outcomes = ingest(ConceptsSpec(sources=sources))
    return (
        [each for each in outcomes if isinstance(each, Concept)],
        [each for each in outcomes if isinstance(each, Rejection)],
    )


def names(*sources):
    return [concept.name for concept in ingested(*sources)[0]]


def written(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("name", "content", "settings"),
    [
        ("a.json", ["red_panda", "sea otter"], {}),
        ("a.json", [{"label": "red panda"}, {"label": "sea otter"}], {"column": "label"}),
        ("a.jsonl", '{"label": "red panda", "n": 1}\n\n{"label": "sea otter"}\n', {"column": "label"}),
        ("a.jsonl", '"red panda"\n"sea otter"\n', {}),
        ("a.yaml", "- red panda\n- sea otter\n", {}),
        ("a.yml", "animals:\n- label: red panda\n- label: sea otter\n", {"within": "animals", "column": "label"}),
        ("a.tsv", "id\tlabel\n0\tred panda\n1\tsea otter\n", {"column": "label"}),
        ("a.json", BACKGROUNDS, {"keys_are_names": True}),
        ("a.txt", "red panda, lesser panda\nsea otter\n", {"split_at": ","}),
    ],
)
def test_every_form_of_a_list_says_the_same(tmp_path, name, content, settings):
    assert names(FileSource(path=written(tmp_path, name, content), **settings)) == ["red panda", "sea otter"]


def test_kinds_and_categories_may_stand_in_columns(tmp_path):
    rows = [{"n": "fox", "what": "object", "group": "animal"}, {"n": "fen", "what": "place", "group": None}]
    source = FileSource(path=written(tmp_path, "a.json", rows), column="n", kind_column="what", category_column="group")
    concepts, _ = ingested(source)
    assert [(each.kind, each.category) for each in concepts] == [("object", "animal"), ("place", "other")]


def test_synclrs_own_files_are_read(tmp_path):
    labels = written(tmp_path, "labels.json", LABELS)
    food = written(tmp_path, "ds_background_dict.json", {"cars": ["Desert Road", "Garage"], "food": ["Table"]})
    own = written(tmp_path, "imgnet_background_dict.json", {"tench": ["Muddy River"], "missile": ["Silo"]})
    places = written(tmp_path, "places.txt", "/a/airfield 0\n/c/church/indoor 91\n/c/church/outdoor 92\n")
    concepts, rejects = ingested(
        FileSource(path=labels, within="imagenet", category="in1k", backgrounds=own, lower_backgrounds=True),
        FileSource(
            path=labels, within="cars", category="cars", append=" car", backgrounds=food, backgrounds_key="cars"
        ),
        FileSource(path=places, kind="place", category="places"),
    )
    assert {each.name: each.backgrounds for each in concepts} == {
        "tench": ("muddy river",),
        "sunglasses": (),
        "missile": ("silo",),
        "Acura RL Sedan 2012 car": ("Desert Road", "Garage"),
        "airfield": (),
        "church": (),
    }
    assert [(each.reason, each.text.rsplit(": ")[-1]) for each in rejects] == [
        ("merged", "listed twice"),
        ("merged", "the same name once cleaned"),
    ]


def test_an_edited_file_of_backgrounds_is_another_lineage(tmp_path):
    labels, backgrounds = written(tmp_path, "a.txt", "fox\n"), written(tmp_path, "b.json", {"fox": ["den"]})
    source = FileSource(path=labels, backgrounds=backgrounds)
    before = fingerprint(source)
    written(tmp_path, "b.json", {"fox": ["field"]})
    assert fingerprint(source) != before


def test_a_merger_says_what_with_what_why_and_what_is_lost(tmp_path):
    first = FileSource(path=written(tmp_path, "a.txt", "Sea otter\n"), category="animal")
    second = FileSource(path=written(tmp_path, "b.txt", "SEA_OTTER\n"), category="mammal")
    concepts, [reject] = ingested(first, second)
    assert concepts[0].sources == ("a.txt", "b.txt") and concepts[0].category == "animal"
    assert reject.text == (
        "'SEA_OTTER' of b.txt is 'Sea otter' of a.txt: the same name but for case; its category 'mammal' is dropped"
    )


LABEL = {"names": ["apple_pie", "tench, Tinca tinca"], "_type": "ClassLabel"}
CARD = """---
license: mit
dataset_info:
  features:
  - name: image
    dtype: image
  - name: label
    dtype:
      class_label:
        names:
          '1': tench, Tinca tinca
          '0': apple_pie
---
# Card
"""


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("dataset_info.json", {"features": {"image": {"_type": "Image"}, "label": LABEL}}),
        ("train/dataset_info.json", {"features": {"label": LABEL}}),
        ("dataset_infos.json", {"default": {"features": {"label": LABEL}}, "small": {"features": {"label": LABEL}}}),
        ("README.md", CARD),
    ],
)
def test_class_names_of_a_hugging_face_data_set_are_read_from_its_folder(tmp_path, file, content):
    path = written(tmp_path, file, content)
    assert names(HuggingFaceSource(path=str(tmp_path))) == ["apple pie", "tench"]
    if "/" not in file:
        assert names(HuggingFaceSource(path=path, feature="label")) == ["apple pie", "tench"]


@pytest.mark.parametrize(
    "card",
    [
        CARD.replace("\n", "\r\n"),
        CARD.replace("\n", "\r"),
        CARD.removesuffix("\n# Card\n"),
        CARD.removesuffix("\n# Card\n").replace("\n", "\r\n"),
        f"\ufeff{CARD}",
        f"\n\n{CARD}",
        CARD.replace("---\n", "---  \n"),
        f"{CARD}---\nnames: none\n---\n",
    ],
    ids=[
        "CRLF",
        "CR",
        "no last line end",
        "CRLF without a last one",
        "byte order mark",
        "blank lines",
        "spaces",
        "rulers",
    ],
)
def test_a_readme_is_read_whatever_ends_its_lines(tmp_path, card):
    (tmp_path / "README.md").write_bytes(card.encode())
    assert names(HuggingFaceSource(path=str(tmp_path))) == ["apple pie", "tench"]


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ("# Card\n\n---\na: b\n---\n", "does not open with a block of YAML"),
        (CARD.replace("---\n# Card\n", ""), "that no second one closes"),
        ("---\r\n---\r\n# Card\r\n", "ClassLabel features of .*: none"),
        (CARD.replace("dtype: image", "dtype: [image"), "is not YAML"),
    ],
)
def test_a_readme_without_class_names_is_refused_with_the_true_reason(tmp_path, card, said):
    (tmp_path / "README.md").write_bytes(card.encode())
    with pytest.raises(SpecError, match=said) as refused:
        ingested(HuggingFaceSource(path=str(tmp_path)))
    assert "README.md" in str(refused.value) and "\n" not in str(refused.value)


def test_class_names_stand_in_the_schema_of_a_hugging_face_parquet_file(tmp_path):
    info = json.dumps({"info": {"features": {"label": LABEL}}})
    table = pa.table({"label": [0, 1]}).replace_schema_metadata({"huggingface": info})
    pq.write_table(table, tmp_path / "train.parquet")
    assert names(HuggingFaceSource(path=str(tmp_path / "train.parquet"))) == ["apple pie", "tench"]


def test_one_of_several_features_must_be_chosen(tmp_path):
    other = {"names": ["fruit", "fish"], "_type": "ClassLabel"}
    path = written(tmp_path, "dataset_info.json", {"features": {"fine_label": LABEL, "coarse_label": other}})
    with pytest.raises(SpecError, match="coarse_label; fine_label; choose one with `feature`"):
        ingested(HuggingFaceSource(path=path))
    assert names(HuggingFaceSource(path=path, feature="coarse_label")) == ["fruit", "fish"]
    with pytest.raises(SpecError, match="none is 'label'"):
        ingested(HuggingFaceSource(path=path, feature="label"))


def test_wordnets_files_and_lists_of_synsets_are_read(tmp_path):
    data = written(tmp_path, "data.noun", DATA_NOUN)
    assert names(WordNetSource(path=data)) == ["dog", "cat", "hot dog"]
    assert names(WordNetSource(path=data, lexicographer_files=("noun.food",))) == ["hot dog"]
    assert names(WordNetSource(path=written(tmp_path, "index.noun", INDEX_NOUN))) == ["dog", "hot dog"]
    chosen = written(tmp_path, "synsets.txt", "n02121620\n07697537-n\nsea_otter.n.01\nn99999999\n")
    concepts, rejects = ingested(WordNetSource(path=data, synsets=chosen))
    assert [each.name for each in concepts] == ["cat", "hot dog", "sea otter"]
    assert [(each.reason, each.text) for each in rejects] == [("synset_unknown", "n99999999")]


@pytest.mark.parametrize(
    ("raw", "kind", "name"),
    [
        ("dog.n.01", "object", "dog"),
        ("n02084071 dog", "object", "dog"),
        ("golden_retriever", "object", "golden retriever"),
        ("ﬁre\u200b engine\u00ad", "object", "fire engine"),
        ("church indoor", "place", "church"),
        ("/c/church/indoor", "place", "church"),
        ("outdoor grill", "place", "outdoor grill"),
        ("grill outdoor", "object", "grill outdoor"),
        ("  Cafe\u0301 ", "object", "Café"),
    ],
)
def test_names_are_cleaned(raw, kind, name):
    assert clean(raw, kind) == name and fault(name) is None


@pytest.mark.parametrize(
    ("name", "content", "settings", "said"),
    [
        ("a.json", "{not json", {}, "is not JSON"),
        ("a.yaml", "a: [b", {}, "is not YAML"),
        ("a.jsonl", '"dog"\nfox\n', {}, "line 2 is not JSON"),
        ("a.json", LABELS, {}, "say `within: KEY`"),
        ("a.json", LABELS, {"within": "imagenette"}, "no key 'imagenette'; it has imagenet, cars"),
        ("a.json", [{"label": "dog"}], {}, "no column 'name'; it has label"),
        ("a.json", [["dog"]], {}, "a list where a name is due"),
        ("a.csv", "name,k\ndog,beast\n", {"kind_column": "k"}, "kind 'beast' is none of"),
        ("a.txt", "dog\n", {"within": "x"}, "for JSON and YAML files"),
        ("a.txt", "dog\n", {"backgrounds": "/nowhere.json"}, "there is no file '/nowhere.json'"),
    ],
)
def test_a_file_in_the_wrong_form_is_refused_in_one_line(tmp_path, name, content, settings, said):
    with pytest.raises(SpecError, match=said) as caught:
        ingested(FileSource(path=written(tmp_path, name, content), **settings))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (HuggingFaceSource(path="FOLDER"), "holds none of dataset_info.json"),
        (HuggingFaceSource(path="FOLDER/a.md"), "does not open with a block of YAML"),
        (HuggingFaceSource(path="FOLDER/a.json"), "ClassLabel features of '.*': none"),
        (WordNetSource(path="FOLDER/a.md"), "neither WordNet's data.noun nor its index.noun"),
    ],
)
def test_what_is_no_data_set_and_no_wordnet_is_refused(tmp_path, source, said):
    written(tmp_path, "a.md", "# A page\n")
    written(tmp_path, "a.json", {"features": {"image": {"_type": "Image"}}})
    with pytest.raises(SpecError, match=said):
        ingested(source.model_copy(update={"path": source.path.replace("FOLDER", str(tmp_path))}))


def test_emoji_of_several_people_are_kept_and_direction_marks_are_counted(tmp_path):
    concepts, rejects = ingested(FileSource(path=written(tmp_path, "a.txt", "family 👨\u200d👩\u200d👧\ndog\u202e\n")))
    assert [each.name for each in concepts] == ["family 👨\u200d👩\u200d👧"]
    assert [each.reason for each in rejects] == ["control_characters"]
