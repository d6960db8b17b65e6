"""Verify finds every fault of a sealed run; it and the other commands read the stored plan, and need none of its sources."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_specs import image_group
from data_specs.errors import SpecError
from flows.cli.app import app
from flows.inspect.coverage import coverage
from flows.inspect.quality import quality
from flows.inspect.show import show
from flows.inspect.trace import trace
from flows.inspect.verify import verify
from support.made_up_run import looked_at, make_run
from support.shard_files import file_of
from tasks.shard_leftovers import put_aside
from tasks.shards import make_shard, read_shard


def test_a_run_is_inspected_from_its_plan_after_its_lists_and_models_are_gone(tmp_path):
    names, checker = tmp_path / "names.txt", tmp_path / "checker"
    names.write_text("fox\nkettle\n")
    concepts = {"sources": [{"use": "file", "path": str(names)}], "kinds": {"object": 1.0}}
    plan = make_run(str(tmp_path / "root"), concepts=concepts, **looked_at(checker))
    names.unlink()
    shutil.rmtree(checker)
    sealed = sum(stage.count for stage in plan.stages.values())
    assert verify(plan.root, plan.name) == (sealed, [])
    assert coverage(plan.root, plan.name)
    assert quality(plan.root, plan.name).sealed_shards == plan.stages["images"].count
    [first, *_] = read_shard(plan.stages["images"].shard(0), image_group.CONTRACT)
    assert show(plan.root, first.caption.id)["records"][1]["runs"] == [plan.name]
    assert trace(plan.root, first.caption.id, plan.name)["checkpoints"]


def test_a_damaged_file_a_broken_manifest_and_a_group_that_was_sealed_short_are_described(tmp_path):
    plan = make_run(str(tmp_path), until="images")
    images, captions = plan.stages["images"], plan.stages["captions"].shard(1)
    groups = list(read_shard(images.shard(2), image_group.CONTRACT))
    short = replace(groups[0], images=groups[0].images[:3], pixels=groups[0].pixels[:3])
    put_aside(images.shard(2), "to be sealed short")
    make_shard(images.shard(2), image_group.CONTRACT, lambda: [short, *groups[1:]])
    file_of(images.shard(0), "tar").write_bytes(b"torn")
    Path(captions.file("json")).write_text("{}")
    Path(images.shard(3).file("json")).unlink()  # not sealed, which is no fault
    checked, faults = verify(plan.root, plan.name)
    assert checked == sum(stage.count for stage in map(plan.stages.get, ("concepts", "captions", "selection"))) + 3
    assert len(faults) == 3
    for fault, words in zip(
        faults, ("captions-000001.json is not a manifest", "4 bytes", "has 3 images, not 4"), strict=True
    ):
        assert words in fault
    with pytest.raises(SpecError, match="no run 'other'"):
        verify(plan.root, "other")
    for words in ([], ["--json"]):
        shown = CliRunner().invoke(app, ["verify", plan.name, "--root", plan.root, *words])
        assert shown.exit_code == 1 and "captions-000001.json is not a manifest" in shown.stdout
