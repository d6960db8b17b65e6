"""What is written is what is read, for every record; what is not a record is refused with its name."""

import hashlib
from dataclasses import replace

import pyarrow as pa
import pytest

from data_specs import benchmark_image, caption, checkpoint, concept, embedding, image_group, score, selection
from data_specs.benchmark_image import BenchmarkImage
from data_specs.checkpoint import Checkpoint
from data_specs.embedding import Embedding
from data_specs.errors import ContractError
from data_specs.image_group import PassedOver
from data_specs.score import Score
from data_specs.selection import CaptionVerdict
from support.builders import MODEL, make_caption, make_concept, make_group

DRAWN = BenchmarkImage(
    "a-b",
    "styles",
    "twemoji",
    ("dog", "red car"),
    "animal",
    1,
    7,
    False,
    hashlib.sha256(b"pixels").hexdigest(),
    b"pixels",
)
RECORDS = [
    (concept.CONTRACT, make_concept("café ☕")),
    (caption.CONTRACT, make_caption()),
    (selection.CONTRACT, CaptionVerdict(make_caption().id, "duplicate_elsewhere", make_caption(slot=1).id, 3)),
    (selection.CONTRACT, CaptionVerdict(make_caption().id, "kept", keys=(-(2**63), 5), names=(0, 7))),
    (image_group.CONTRACT, make_group()),
    (
        image_group.CONTRACT,
        replace(
            make_group(),
            passed_over=(PassedOver(5, 7, 1, "reranked", {"clip": 0.1, "safety": -0.2}), PassedOver(6, 8, 0, "unsafe")),
            scorer=MODEL,
        ),
    ),
    (
        checkpoint.CONTRACT,
        Checkpoint(
            "e-000010", 10, 20, "vit_tiny", "synclr", 0, 640, "abc", ("images-000000",), {"a": "b"}, {"loss": 1.5}
        ),
    ),
    (benchmark_image.CONTRACT, DRAWN),
    (embedding.CONTRACT, Embedding("a-b", "trained", "styles", "twemoji", ("dog",), "animal", 0, 2, b"\0" * 8)),
    (
        score.CONTRACT,
        Score("a-b", "trained", "styles", "all", "knn", "top1", "twemoji", 0, 0.25, 0.2, 0.3, 0.01, 10, 5, {"k": 10.0}),
    ),
]


@pytest.mark.parametrize(("contract", "record"), RECORDS, ids=lambda value: getattr(value, "name", ""))
def test_what_is_encoded_decodes_to_the_same_record(contract, record):
    assert contract.decode(contract.encode(record)) == record


@pytest.mark.parametrize(("contract", "record"), RECORDS, ids=lambda value: getattr(value, "name", ""))
def test_every_row_fits_its_arrow_schema_and_loses_no_column(contract, record):
    row = contract.row(record)
    assert set(row) == set(contract.schema.names)
    table = pa.Table.from_pylist([row], schema=contract.schema)
    assert table.to_pylist()[0].keys() == row.keys()


@pytest.mark.parametrize(("contract", "record"), RECORDS, ids=lambda value: getattr(value, "name", ""))
def test_a_sample_with_an_unknown_or_missing_field_is_refused_by_name(contract, record):
    sample = contract.encode(record)
    for payload in (b"{}", b"not json", sample["json"][:-1] + b', "surprise": 1}'):
        with pytest.raises(ContractError, match=sample["__key__"]):
            contract.decode(sample | {"json": payload})


def test_a_group_without_one_of_its_images_is_refused():
    sample = image_group.encode(make_group())
    del sample["2.jpg"]
    with pytest.raises(ContractError, match=r"lacks its image 2\.jpg"):
        image_group.decode(sample)


def test_a_image_that_is_not_the_recorded_one_is_found_on_request():
    sample = image_group.encode(make_group()) | {"1.jpg": b"another image"}
    image_group.decode(sample)
    with pytest.raises(ContractError, match="image 1"):
        image_group.decode(sample, check_digests=True)


def test_an_embedding_whose_bytes_do_not_match_its_dimension_is_refused():
    with pytest.raises(ContractError, match="promises 3"):
        embedding.encode(Embedding("a-b", "trained", "styles", "x", ("dog",), "animal", 0, 3, b"\0" * 8))


def test_a_benchmark_image_is_sealed_only_as_its_digest_describes_it_and_read_only_with_its_pixels():
    with pytest.raises(ContractError, match="image 'a-b' is not the one its digest describes"):
        benchmark_image.encode(replace(DRAWN, data=b"other pixels"))
    with pytest.raises(ContractError, match="image 'a-b' lacks its pixels"):
        benchmark_image.decode({name: data for name, data in benchmark_image.encode(DRAWN).items() if name != "png"})
