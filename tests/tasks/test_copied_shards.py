"""A shard is copied to another lineage whole and to the byte, or not at all."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from data_specs import embedding
from data_specs.embedding import Embedding
from data_specs.shard import MadeBy, ShardAddress
from support.shard_files import file_of
from tasks.copied_shards import copy_shard
from tasks.shard_faults import verify_shard
from tasks.shards import make_shard, read_shard, sealed


@pytest.fixture
def pair(address: Callable[..., ShardAddress]) -> tuple[ShardAddress, ShardAddress]:
    source = address(3, "embeddings")
    made = [
        Embedding(f"e{number}", "trained", "styles", "twemoji", ("dog",), "", 0, 2, b"\0" * 8) for number in range(5)
    ]
    make_shard(source, embedding.CONTRACT, lambda: made, made_by=MadeBy("first"))
    return source, address(0, "embeddings", lineage="def")


def test_a_copy_is_the_same_to_the_byte_and_says_who_made_it(pair: tuple[ShardAddress, ShardAddress]) -> None:
    source, target = pair
    assert copy_shard(source, target)
    assert verify_shard(target, embedding.CONTRACT) == []
    assert list(read_shard(target, embedding.CONTRACT)) == list(read_shard(source, embedding.CONTRACT))
    one, other = sealed(source), sealed(target)
    assert one is not None and other is not None and one.files == other.files
    assert (other.lineage, other.index) == ("def", 0)
    assert json.loads(Path(target.file("made.json")).read_text())["run"] == "first"
    assert copy_shard(source, target), "again: it is there"


@pytest.mark.parametrize("damage", ["cut", "gone", "unsealed", "no manifest", "lacks"])
def test_what_is_damaged_or_lacks_a_file_is_not_copied(pair: tuple[ShardAddress, ShardAddress], damage: str) -> None:
    source, target = pair
    if damage == "cut":
        tar = file_of(source, "tar")
        tar.write_bytes(tar.read_bytes()[:-1])
    if damage == "gone":
        file_of(source, "parquet").unlink()
    if damage == "unsealed":
        Path(source.file("json")).unlink()
    if damage == "no manifest":
        Path(source.file("json")).write_text("{")
    assert not copy_shard(source, target, ["patches.json"] if damage == "lacks" else [])
    assert sealed(target) is None
    left = [path.name for path in Path(target.folder).rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert not left


def test_files_beside_it_come_along(pair: tuple[ShardAddress, ShardAddress]) -> None:
    source, target = pair
    Path(source.file("patches.json")).write_text("[]")
    assert copy_shard(source, target, ["patches.json"])
    assert Path(target.file("patches.json")).read_text() == "[]"
