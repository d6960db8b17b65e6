"""The command that writes the tiny renderer's prose: from sealed captions, always the same file."""

import gzip
import json
from pathlib import Path

from flows.execution.inputs import caption_inputs
from flows.runs.planning import resolve_plan
from models.captioner.fake import FakeCaptioner
from models.tiny_world.world import read_world
from tasks.captions.compose import compose_shard
from tasks.concepts.ingest import ingest, ingest_table
from tasks.shards import require_manifests
from tiny_renderer.captions_of_scenes import read_prose
from tiny_renderer.write_prose import prose_request, write_prose

FAKE = ["captions.engine=fake", "captions.per_shard=16", "captions.total=48"]


def test_the_file_follows_from_the_sealed_captions(tmp_path: Path) -> None:
    plan = resolve_plan(prose_request(str(tmp_path), FAKE))
    spec, captions = plan.spec, plan.stages["captions"]
    ingest_table(plan.stages["concepts"].table, ingest(spec.concepts), (), spec.concepts)
    captioner, inputs = FakeCaptioner(faulty=0.2), caption_inputs(plan)
    for address in captions.shards():
        compose_shard(inputs, address, captioner, spec.captions, seed=spec.seed)
    output = tmp_path / "prose.jsonl.gz"
    counts = write_prose(plan, output)
    sealed = sum(manifest.accepted for manifest in require_manifests(captions))
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
    write_prose(plan, output)
    assert output.read_bytes() == before
