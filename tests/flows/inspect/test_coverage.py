import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from data_specs.errors import SpecError
from data_specs.run import Run, RunSpec
from flows.cli.app import app
from flows.inspect.coverage import coverage, write_parquet
from flows.report import write_report
from flows.report.cover import cover
from flows.report.sealed_stages import selection_of, walked_rooms
from flows.runs.folder import point, summarise, write_recipe
from flows.runs.resolve import rooms
from models.captioner.fake import FakeCaptioner
from support.made_up_run import make_run
from tasks.captions.compose import compose_shard
from tasks.concepts.ingest import ingest_table, read_concepts
from tasks.shards import read_rejects


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
    assert all(row["left_out"] == 0 for row in rows)
    file = tmp_path / "coverage.parquet"
    said = CliRunner().invoke(app, ["coverage", "a", "--root", run.root, "--json", "--output", str(file)])
    assert json.loads(said.stdout) == {"coverage": rows}
    assert pq.read_table(file).to_pylist() == rows
    with pytest.raises(SpecError, match="coverage.parquet"):
        write_parquet(rows, tmp_path / "coverage.csv")
    shown = CliRunner().invoke(app, ["coverage", "a", "--root", run.root])
    assert shown.exit_code == 0 and "planned" in shown.stdout


def test_what_is_left_undrawn_is_counted_where_it_was_planned(tmp_path):
    run = make_run(str(tmp_path), until="images", captions={"near_duplicates": 0.5})
    refused = [each for address in rooms(run.spec, run.root)["images"].shards for each in read_rejects(address)]
    rows = coverage(run.root, run.name)
    assert sum(row["left_out"] for row in rows) == len(refused) > 0
    assert all(row["left_out"] <= row["kept"] for row in rows)


def test_the_report_draws_every_concept_and_names_those_that_lost_most(tmp_path):
    captions = {"engine": "fake", "total": 80, "per_shard": 40, "attempts": 2, "min_kept": 0.1}
    run = Run(name="a", root=str(tmp_path), spec=RunSpec.model_validate({"captions": captions}))
    write_recipe(run, {"recipe": "tiny", "knobs": {}})
    here = rooms(run.spec, run.root)
    table = here["concepts"].table
    ingest_table(table, run.spec.concepts)
    for address in here["captions"].shards:
        compose_shard(read_concepts(table), address, FakeCaptioner(0.4), run.spec.captions, seed=0)
    for room in ("concepts", "captions"):
        here[room].remember()
        point(run, summarise(here[room], made=1), seconds=1)
    found, rows = cover(walked_rooms(run), run.spec, selection_of(run)), coverage(run.root, "a")
    assert (found.planned, found.whole, found.concepts) == (80, True, len({row["concept_id"] for row in rows}))
    assert sum(row.kept for row in found.strategies) == sum(row["kept"] for row in rows)
    assert found.worst[0]["kept"] == 0 and all(row["kept"] < row["planned"] for row in found.worst)
    page = Path(write_report(run)).read_text(encoding="utf-8")
    assert 'id="coverage"' in page and f"<b>{found.worst[0]['concept']}</b>" in page
