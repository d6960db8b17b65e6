"""The command that writes the tiny renderer's prose: from sealed captions, always the same file."""

import gzip
import json
from pathlib import Path

from flows.runs.resolve import rooms
from models.captioner.fake import FakeCaptioner
from models.tiny_world.world import read_world
from tasks.captions.compose import compose_shard
from tasks.concepts.ingest import ingest_table, table_of
from tasks.shards import all_sealed
from tiny_renderer.captions_of_scenes import read_prose
from tiny_renderer.write_prose import request, write_tiny_prose

FAKE = ["captions.engine=fake", "captions.per_shard=16", "captions.total=48"]


def test_the_file_follows_from_the_sealed_captions(tmp_path: Path) -> None:
    run = request(str(tmp_path), FAKE).resolved()
    room = rooms(run.spec, run.root)
    ingest_table(room["concepts"].table, run.spec.concepts)
    captioner, table = FakeCaptioner(faulty=0.2), table_of(run.spec.concepts)
    for address in room["captions"].shards:
        compose_shard(table, address, captioner, run.spec.captions, seed=run.spec.seed)
    output = tmp_path / "prose.jsonl.gz"
    counts = write_tiny_prose(run, output)
    sealed = sum(manifest.accepted for manifest in all_sealed(room["captions"].shards) if manifest)
    assert counts.total() == sealed > 40 and counts["kept"] > 30
    with gzip.open(output, "rt") as file:
        entries = [json.loads(line) for line in file]
    assert {entry["kind"] for entry in entries} >= {"object", "place"} and len(entries) == counts["kept"]
    assert {entry["strategy"] for entry in entries} == {"concept", "background", "relation"}
    said = read_prose(output, read_world())
    asked_for = [(entry["background"], entry["other"]) for entry in entries]
    assert all(
        place in (None, each.place) and other == each.other
        for (place, other), each in zip(asked_for, said, strict=True)
    )
    before = output.read_bytes()
    write_tiny_prose(run, output)
    assert output.read_bytes() == before
