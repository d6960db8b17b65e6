"""No cell is shifted, swallowed or dropped, and a value stays as it was written: else one line with file, line and cell."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_specs.concept import Concept
from data_specs.errors import SpecError
from data_specs.specs.concepts import ConceptsSpec, FileSource, HuggingFaceSource
from tasks.concepts.ingest import ingest


def read(tmp_path, suffix, content, **settings):
    path = tmp_path / f"names.{suffix}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return ingest(ConceptsSpec(sources=(FileSource(path=str(path), **settings),)))


def names(*args, **settings):
    return [each.name for each in read(*args, **settings) if isinstance(each, Concept)]


@pytest.mark.parametrize(
    ("suffix", "content", "settings", "said"),
    [
        (
            "csv",
            "name,category\ngreat white shark, white shark, man-eater,fish\nfox,animal\n",
            {},
            "line 2: 4 cells for 2 columns, cell 3 is ' man-eater'",
        ),
        (
            "csv",
            "name,kind,category\nlake, big,place,place\n",
            {"kind_column": "kind"},
            "line 2: 4 cells for 3 columns, cell 4 is 'place'",
        ),
        ("csv", "name,category\nfox,animal\nowl\n", {}, "line 3: 1 cells, and none for column 'category'"),
        (
            "tsv",
            "name\tcategory\nfox\tanimal\towl\n",
            {},
            "line 2: 3 cells for 2 columns, cell 3 is 'owl'; put a cell that holds a tab",
        ),
        ("csv", b"PK\x03\x04\0\0name\n", {}, "holds zero bytes, as no text does"),
        ("csv", "\n\nname,category\n\nfox,a,b\n", {}, "line 5: 3 cells"),
        ("csv", 'name,note\nfox,"two\nlines"\nowl,a,b\n', {}, "line 4: 3 cells"),
        (
            "csv",
            'name\nfox\n"unclosed\nred\n',
            {},
            "line 3: unexpected end of data in the row that begins '\"unclosed'",
        ),
        ("tsv", 'name\n"72 inch tv\ntench\ngoldfish\nfox\n', {}, "line 2: .*'\"72 inch tv'"),
        (
            "tsv",
            'name\n"72 inch tv\ntench\nscreen 80"\nfox\n',
            {},
            "line 2: the quoted cell of 'name' runs over 3 lines",
        ),
        ("csv", 'name\n"Weird Al" Yankovic\n', {}, "line 2: .*expected after"),
        (
            "csv",
            'name,group\nfox,"a\nb"\n',
            {"category_column": "group"},
            "line 2: the quoted cell of 'group' runs over 2 lines",
        ),
        ("csv", "name,name\nfox,red fox\n", {}, "the column 'name' 2 times, at 1, 2"),
        ("csv", "name,group,group\nfox,a,b\n", {"category_column": "group"}, "the column 'group' 2 times, at 2, 3"),
        ("json", '[{"name": "fox", "name": "red fox"}]', {}, "the key 'name' stands twice"),
        (
            "jsonl",
            '{"name": "fox"}\n{"name": "fox", "name": "red fox"}\n',
            {},
            "line 2 is not JSON: the key 'name' stands twice",
        ),
        ("yaml", "- name: fox\n  name: red fox\n", {}, "duplicate key"),
        ("csv", "name,kind\nfox,\n", {"kind_column": "kind"}, "line 2: kind '' is none of"),
        (
            "json",
            '[{"name": "fox", "group": ["a"]}]',
            {"category_column": "group"},
            "entry 1 has a list where a category is due",
        ),
        (
            "csv",
            "name,bg\nfox,\"['den', 'field']\"\n",
            {"backgrounds_column": "bg"},
            "line 2 has a list written out as text",
        ),
        ("json", '["fox", "\\ud83d"]', {}, "entry 2 holds half a character"),
        (
            "json",
            '[{"name": "fox", "bg": ["\\udc00"]}]',
            {"backgrounds_column": "bg"},
            "entry 1 holds half a character",
        ),
        ("jsonl", "[" * 100_000 + "\n", {}, "line 1 is not JSON"),
    ],
)
def test_what_would_shift_swallow_or_drop_a_cell_is_refused_with_its_line(tmp_path, suffix, content, settings, said):
    with pytest.raises(SpecError, match=said) as caught:
        read(tmp_path, suffix, content, **settings)
    assert "\n" not in str(caught.value) and f"names.{suffix}" in str(caught.value)


@pytest.mark.parametrize(
    ("suffix", "content", "settings", "found"),
    [
        (
            "csv",
            'name,category\n"great white shark, man-eater",fish\nfox,animal\n',
            {},
            ["great white shark, man-eater", "fox"],
        ),
        ("csv", 'name\n"a ""big"" cat"\ntv 72"\n', {}, ['a "big" cat', 'tv 72"']),
        ("csv", 'name,note\nfox,"two\nlines"\nowl,\n', {}, ["fox", "owl"]),
        ("csv", "name,note,note\nfox,a,b\n", {}, ["fox"]),
        ("csv", "name,group\nfox,a\n   \nowl,b\n", {}, ["fox", "owl"]),
        ("csv", "name\rfox\rowl\r", {}, ["fox", "owl"]),
        ("csv", "name\r\nfox\r\nowl\r\n", {}, ["fox", "owl"]),
        ("txt", "fox\r\nred\x1cowl\nsea\u2028otter\n", {}, ["fox", "red owl", "sea otter"]),
        (
            "yaml",
            "- true\n- 1.10\n- 007\n- 1e3\n- 0x1F\n- 2026-05-01\n- 2026-13-45\n- ~\n- .5\n",
            {},
            ["true", "1.10", "007", "1e3", "0x1F", "2026-05-01", "2026-13-45", ".5"],
        ),
        ("yaml", "true: [sea]\n1.10: [007]\n", {"keys_are_names": True}, ["true", "1.10"]),
        ("yaml", "2012: [fox]\n", {"within": "2012"}, ["fox"]),
        (
            "json",
            "[true, 1.10, 1e3, 12345678901234567890, null, NaN]",
            {},
            ["true", "1.10", "1e3", "12345678901234567890"],
        ),
        ("jsonl", '1.10\n{"name": false}\n{"name": 7}\n', {}, ["1.10", "false", "7"]),
        ("json", "[" + "7" * 5_000 + ', "fox"]', {}, ["fox"]),
    ],
)
def test_a_value_is_the_text_that_was_written(tmp_path, suffix, content, settings, found):
    assert names(tmp_path, suffix, content, **settings) == found


def test_a_category_of_0_is_a_category(tmp_path):
    content = (
        '{"name": "grinning face", "coarse": 0}\n{"name": "red heart", "coarse": 1}\n{"name": "fox", "coarse": " "}\n'
    )
    found = read(tmp_path, "jsonl", content, category_column="coarse")
    assert [each.category for each in found] == ["0", "1", "other"]
    columns = read(tmp_path, "csv", "name,group\nfox, animal\nowl,0\ncat,false\n", category_column="group")
    assert [each.category for each in columns] == ["animal", "0", "false"]


def parquet(table):
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


def test_parquet_keeps_values_and_refuses_a_column_that_is_there_twice(tmp_path):
    assert names(tmp_path, "parquet", parquet(pa.table({"name": [True, False, None]}))) == ["true", "false"]
    assert names(tmp_path, "parquet", parquet(pa.table({"name": [1.5, float("nan")]}))) == ["1.5"]
    twice = pa.table([pa.array(["fox"]), pa.array(["red fox"])], names=["name", "name"])
    with pytest.raises(SpecError, match="the column 'name' 2 times"):
        read(tmp_path, "parquet", parquet(twice))


def test_backgrounds_of_one_name_written_in_two_ways_are_all_kept(tmp_path):
    (tmp_path / "bg.json").write_text(json.dumps({"Red Fox": ["den"], "red_fox": ["field"], "owl": ["barn"]}))
    [fox] = read(tmp_path, "txt", "red fox\n", backgrounds=str(tmp_path / "bg.json"))
    assert fox.backgrounds == ("den", "field")


@pytest.mark.parametrize(
    ("names_of", "said"),
    [
        ("{a: fox, b: owl}", "class names must be a list"),
        ("foxes", "class names must be a list"),
        ("[[fox]]", "has a list where a class name is due"),
    ],
)
def test_class_names_in_another_form_are_refused(tmp_path, names_of, said):
    card = f"---\ndataset_info:\n  features:\n  - name: label\n    dtype:\n      class_label:\n        names: {names_of}\n---\n"
    (tmp_path / "README.md").write_text(card)
    with pytest.raises(SpecError, match=said):
        ingest(ConceptsSpec(sources=(HuggingFaceSource(path=str(tmp_path)),)))


def test_class_names_and_configurations_that_look_like_numbers_keep_their_text(tmp_path):
    part = "  features:\n  - name: label\n    dtype:\n      class_label:\n        names:\n          '0': {}\n          '1': {}\n"
    (tmp_path / "README.md").write_text(
        "---\ndataset_info:\n" + "".join(
            f"- config_name: {config}\n{part.format(*both)}" for config, both in ((2024, ("007", "true")), (1.10, ("a", "b")))
        ) + "---\n"
    )  # fmt: skip
    outcomes = ingest(ConceptsSpec(sources=(HuggingFaceSource(path=str(tmp_path), config="2024"),)))
    assert [each.name for each in outcomes] == ["007", "true"]


@pytest.mark.parametrize("metadata", [b"{", b"\xff", b"[" * 100_000])
def test_a_parquet_file_whose_description_is_damaged_is_refused(tmp_path, metadata):
    pq.write_table(pa.table({"label": [0]}).replace_schema_metadata({b"huggingface": metadata}), tmp_path / "a.parquet")
    with pytest.raises(SpecError, match=r"a\.parquet"):
        ingest(ConceptsSpec(sources=(HuggingFaceSource(path=str(tmp_path / "a.parquet")),)))
