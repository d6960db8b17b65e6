import json

from typer.testing import CliRunner

from data_specs.run import Run, RunSpec
from flows.addresses import rooms
from flows.cli import app
from flows.coverage import coverage
from flows.run_folder import write_recipe
from models.captioner.fake import FakeCaptioner
from tasks.captions.compose import compose_shard
from tasks.concepts.ingest import ingest_table, read_concepts


def test_every_slot_of_a_sealed_shard_is_planned_asked_and_kept_or_not(tmp_path):
    captions = {"engine": "fake", "total": 120, "per_shard": 40, "attempts": 2, "min_kept": 0.1}
    run = Run(name="a", root=str(tmp_path), spec=RunSpec.model_validate({"captions": captions}))
    write_recipe(run, {"recipe": "tiny", "knobs": {}})
    here = rooms(run.spec, run.root)
    table = here["concepts"].table
    ingest_table(table, run.spec.concepts)
    manifests = [
        compose_shard(read_concepts(table), address, FakeCaptioner(0.4), run.spec.captions, seed=0)
        for address in here["captions"].shards[:2]  # the third is not made yet
    ]
    rows = coverage(run.root, "a")
    exhausted = sum(manifest.rejected.get("exhausted", 0) for manifest in manifests)
    refused = sum(sum(manifest.rejected.values()) for manifest in manifests) - exhausted
    kept = sum(manifest.accepted for manifest in manifests)
    assert exhausted > 0
    assert sum(row["planned"] for row in rows) == 80 == kept + exhausted
    assert sum(row["kept"] for row in rows) == kept
    assert sum(row["asked"] for row in rows) == kept + refused
    assert all(row["kept"] <= row["planned"] <= row["asked"] for row in rows)
    said = CliRunner().invoke(app, ["coverage", "a", "--root", run.root, "--json"])
    assert json.loads(said.stdout) == {"coverage": rows}
    shown = CliRunner().invoke(app, ["coverage", "a", "--root", run.root])
    assert shown.exit_code == 0 and "planned" in shown.stdout
