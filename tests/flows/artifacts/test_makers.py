"""Who made the shards of a stage, by the notes beside them, on which nothing depends."""

from pathlib import Path

import pytest

from flows.artifacts.makers import makers
from support.made_up_run import make_run


@pytest.mark.parametrize(
    "note",
    [b"{", b"[" * 100_000, b"\xff\xfe", b"[]", b"{}", b""],
    ids=["open", "deep", "no text", "list", "empty", "nothing"],
)
def test_a_damaged_note_counts_for_a_run_without_a_name(tmp_path: Path, note: bytes) -> None:
    stage = make_run(str(tmp_path), until="captions").stages["captions"]
    Path(stage.shard(1).file("made.json")).write_bytes(note)
    found = makers(stage)
    assert sum(maker.shards for maker in found) == stage.count
    assert {maker.run: maker.shards for maker in found}[""] == 1
