"""What people's files may hold, in every format: one clear line before any work, or a reject that is counted."""

import io
import json
import tracemalloc
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from data_specs.concept import Concept
from data_specs.errors import SpecError
from data_specs.specs.concepts import ConceptsSpec, FileSource, HuggingFaceSource, WordNetSource
from tasks.concepts.ingest import ingest, ingest_table
from tasks.concepts.sources import fingerprints

FORMATS = ("txt", "csv", "tsv", "json", "jsonl", "yaml", "parquet")
WITH_COLUMNS = tuple(each for each in FORMATS if each != "txt")


def dumped(names, suffix, column="name"):
    """The same names as bytes of a file of each format, in a column where the format has some."""
    match suffix:
        case "txt":
            return "\n".join(names).encode()
        case "csv" | "tsv":
            # Quoted, so that a name may hold anything.
            quoted = ['"' + name.replace('"', '""') + '"' for name in names]
            return "\n".join([column, *quoted]).encode()
        case "json":
            return json.dumps([{column: name} for name in names]).encode()
        case "jsonl":
            return "".join(json.dumps({column: name}) + "\n" for name in names).encode()
        case "yaml":
            stream = io.BytesIO()
            YAML(typ="safe").dump([{column: name} for name in names], stream)
            return stream.getvalue()
        case _:
            stream = io.BytesIO()
            pq.write_table(pa.table({column: names}), stream)
            return stream.getvalue()


@pytest.fixture
def source(tmp_path):
    def make(content, suffix, **settings):
        path = tmp_path / f"names.{suffix}"
        path.write_bytes(content)
        return FileSource(path=str(path), **settings)

    return make


def ingested(source):
    outcomes = ingest(ConceptsSpec(sources=(source,)))
    kept = [each for each in outcomes if isinstance(each, Concept)]
    return kept, [each for each in outcomes if not isinstance(each, Concept)]


def refused(source):
    with pytest.raises(SpecError) as caught:
        ingested(source)
    message = str(caught.value)
    assert "\n" not in message and message.startswith("concepts.") and len(message) < 600
    return message


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("content", [b"", b"\n \r\n", b"\xef\xbb\xbf"])
def test_a_file_of_nothing(source, suffix, content):
    assert "names." + suffix in refused(source(content, suffix))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-32", "cp1252"])
def test_a_file_in_another_encoding(source, suffix, encoding):
    content = dumped(["café au lait", "smörgås"], suffix)
    if suffix == "parquet":
        content = content.replace("café".encode(), "café".encode(encoding)[:4].ljust(5, b"\xe9"))
    elif suffix in ("json", "jsonl"):
        content = json.dumps([{"name": "café au lait"}], ensure_ascii=False).encode(encoding)
    else:
        content = content.decode().encode(encoding)
    assert "UTF-8" in refused(source(content, suffix))


@pytest.mark.parametrize("suffix", WITH_COLUMNS)
def test_a_column_that_is_missing(source, suffix):
    said = refused(source(dumped(["dog"], suffix, column="label"), suffix))
    assert "has no column 'name'; it has label" in said
    for setting in ("kind_column", "category_column", "backgrounds_column"):
        assert "has no column 'gone'; it has name" in refused(
            source(dumped(["dog"], suffix), suffix, **{setting: "gone"})
        )


@pytest.mark.parametrize("suffix", ["json", "jsonl", "parquet"])
def test_a_file_that_was_cut_in_the_middle(source, suffix):
    refused(source(dumped([f"name {number}" for number in range(100)], suffix)[:-7], suffix))


@pytest.mark.parametrize(
    "suffix", ["txt", *(pytest.param(suffix, marks=pytest.mark.long(10)) for suffix in ("csv", "parquet"))]
)
def test_a_hundred_thousand_duplicates_are_one_concept(source, suffix, address):
    """In 1.5 s; were each compared with all, it would not end."""
    spec = ConceptsSpec(sources=(source(dumped(["dog"] * 100_000, suffix), suffix),))
    manifest = ingest_table(address(stage="concepts"), ingest(spec), [], spec)
    assert (manifest.accepted, manifest.rejected) == (1, {"merged": 99_999})


def test_duplicates_take_memory_in_proportion_and_no_more(source):
    def peak(count):
        tracemalloc.start()
        ingested(source(dumped(["dog"] * count, "txt"), "txt"))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(10_000) < 11 * peak(1_000) < 11 * 2**20


@pytest.mark.parametrize("suffix", FORMATS)
def test_names_that_cannot_be_used(source, suffix):
    names = ["dog", "x" * 10_000, "café ☕", "bell\x07", "☕☕", "dog\u202e", "naïve\u0000", "   ", "n99999999"]
    if suffix in ("yaml",):
        names = [name for name in names if "\x07" not in name and "\x00" not in name]  # YAML itself has none
    kept, rejects = ingested(source(dumped(names, suffix), suffix))
    assert [each.name for each in kept] == ["dog", "café ☕"]
    wanted = {"too_long": 1, "empty": 2, "control_characters": 1 if suffix == "yaml" else 3, "synset_unknown": 1}
    assert Counter(each.reason for each in rejects) == wanted
    assert all(len(each.text) <= 200 for each in rejects)


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (b"name\n" + b"x" * 200_000, "csv"),
        (b'name\n"' + b"y" * 200_000 + b"\n", "csv"),
        (b"name\n\x00\n", "csv"),
        (b"[" * 100_000, "json"),
        (b"[" * 1_500 + b"]" * 1_500, "yaml"),
        (b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b, *b]\n", "yaml"),
        (b"!!python/object/apply:os.system ['true']", "yaml"),
        (b"name: [dog, \x07]", "yaml"),
        (b'{"name": "dog"', "jsonl"),
        (b"PAR1garbagePAR1", "parquet"),
        (b"dog", "xls"),
        (b"\x1f\x8b\x08\x00", "gz"),
    ],
)
def test_files_that_are_hostile_or_something_else(source, content, suffix):
    refused(source(content, suffix))


def test_numbers_and_nothing_where_names_are_due(source):
    rows = [{"name": 7}, {"name": None}, {"name": True}, {"other": "x"}, {"name": 1.5}]
    kept, rejects = ingested(source(json.dumps(rows).encode(), "json"))
    assert [each.name for each in kept] == ["7", "true", "1.5"]  # as the file writes them
    assert Counter(each.reason for each in rejects) == {"empty": 2}


@pytest.mark.parametrize(("raw", "name"), [("café".encode(), "café"), (b"caf\xe9", None)])
def test_bytes_in_a_parquet_file_are_text_if_they_can_be(source, raw, name):
    stream = io.BytesIO()
    pq.write_table(pa.table({"name": pa.array([raw], pa.binary())}), stream)
    here = source(stream.getvalue(), "parquet")
    if name is None:
        assert "UTF-8" in refused(here)
    else:
        assert [each.name for each in ingested(here)[0]] == [name]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "yaml", "parquet"])
def test_a_name_with_a_line_break_is_one_name_where_no_stray_quote_could_have_made_it(source, suffix):
    here = source(dumped(["fire\nengine", "a, b"], suffix), suffix)
    if suffix in ("csv", "tsv"):
        assert "line 2: the quoted cell of 'name' runs over 2 lines" in refused(here)
    else:
        assert [each.name for each in ingested(here)[0]] == ["fire engine", "a, b"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"{", b"[1, 2]", b'{"dog": "beach"}', b'{"dog": [["x"]]}'])
def test_a_file_of_backgrounds_in_another_form(tmp_path, source, content):
    (tmp_path / "bg.json").write_bytes(content)
    refused(source(b"dog", "txt", backgrounds=str(tmp_path / "bg.json")))


@pytest.mark.parametrize("content", [b"", b"caf\xe9", b"\x00\x01", b"{}", b"[" * 100_000])
@pytest.mark.parametrize("suffix", ["json", "md", "parquet", "noun"])
def test_a_data_set_or_wordnet_in_another_form(tmp_path, content, suffix):
    path = tmp_path / f"data.{suffix}"
    path.write_bytes(content)
    refused((WordNetSource if suffix == "noun" else HuggingFaceSource)(path=str(path)))


def test_a_folder_in_place_of_a_file(tmp_path):
    (tmp_path / "names.txt").mkdir()
    refused(FileSource(path=str(tmp_path / "names.txt")))
    with pytest.raises(SpecError):
        fingerprints(ConceptsSpec(sources=(FileSource(path=str(tmp_path / "names.txt")),)))
