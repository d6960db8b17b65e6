"""Coverage: what a plan asked for is counted against what was kept, concept by concept and strategy by strategy."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from data_specs.errors import SpecError
from data_specs.shard import ShardManifest
from flows.cli.app import app
from flows.execution.inputs import caption_inputs, concept_entries
from flows.execution.stage_run import sum_up
from flows.inspect.coverage import coverage, write_parquet
from flows.report import write_report
from flows.report.cover import cover, selection_of
from flows.runs.plan import RunPlan, record_sealed, sealed_stages, write_plan
from flows.runs.planning import resolve_plan
from flows.runs.request import Request
from flows.runs.resolve import write_facts
from models.captioner.fake import FakeCaptioner
from support.made_up_run import make_run
from tasks.captions.compose import compose_shard
from tasks.concepts.ingest import ingest_table
from tasks.shards import read_rejects


def made_plan(root: str, total: int, shards: int) -> tuple[RunPlan, list[ShardManifest]]:
    """A run named `a` whose first `shards` caption shards are sealed; its captioner refuses often."""
    captions = {"engine": "fake", "total": total, "per_shard": 40, "attempts": 2, "min_kept": 0.1}
    images = {"engine": "fake"}
    plan = resolve_plan(Request("tiny", "a", root, settings={"captions": captions, "images": images}))
    write_plan(plan)
    ingest_table(plan.stages["concepts"].table, concept_entries(plan), [], plan.spec.concepts)
    stage, inputs = plan.stages["captions"], caption_inputs(plan)
    made = [
        compose_shard(inputs, stage.shard(index), FakeCaptioner(0.4), plan.spec.captions, seed=0)
        for index in range(shards)
    ]
    return plan, made


def test_every_slot_of_a_sealed_shard_is_planned_asked_and_kept_or_not(tmp_path):
    plan, manifests = made_plan(str(tmp_path), total=120, shards=2)  # the third is not made yet
    rows = coverage(plan.root, "a")
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
    said = CliRunner().invoke(app, ["coverage", "a", "--root", plan.root, "--json", "--output", str(file)])
    assert json.loads(said.stdout) == {"coverage": rows}
    assert pq.read_table(file).to_pylist() == rows
    with pytest.raises(SpecError, match="coverage.parquet"):
        write_parquet(rows, tmp_path / "coverage.csv")
    shown = CliRunner().invoke(app, ["coverage", "a", "--root", plan.root])
    assert shown.exit_code == 0 and "planned" in shown.stdout


def test_what_is_not_rendered_is_counted_where_it_was_planned(tmp_path):
    plan = make_run(str(tmp_path), until="images", captions={"near_duplicates": 0.5})
    refused = [each for address in plan.stages["images"].shards() for each in read_rejects(address)]
    rows = coverage(plan.root, plan.name)
    assert sum(row["left_out"] for row in rows) == len(refused) > 0
    assert all(row["left_out"] <= row["kept"] for row in rows)


def test_the_report_draws_every_concept_and_names_those_that_lost_most(tmp_path):
    plan, _ = made_plan(str(tmp_path), total=80, shards=2)
    for stage in ("concepts", "captions"):
        write_facts(plan.stages[stage])
        record_sealed(plan, sum_up(plan.stages[stage], made=1, seconds=1))
    found, rows = cover(sealed_stages(plan), plan.spec, selection_of(plan)), coverage(plan.root, "a")
    assert (found.planned, found.whole, found.concepts) == (80, True, len({row["concept_id"] for row in rows}))
    assert sum(row.kept for row in found.strategies) == sum(row["kept"] for row in rows)
    assert found.worst[0]["kept"] == 0 and all(row["kept"] < row["planned"] for row in found.worst)
    page = Path(write_report(plan)).read_text(encoding="utf-8")
    assert 'id="coverage"' in page and f"<b>{found.worst[0]['concept']}</b>" in page
