"""How fast a stage goes and when it is done follow from the files beside its shards."""

import json
import time
from pathlib import Path

import pytest

from data_specs.stage import Stage
from flows.runs.plan import RunPlan
from flows.site import rates
from flows.site.rates import open_rate
from support.made_up_run import make_run
from tasks import storage
from tasks.encoder.metrics import metrics_url

NOW = 1_800_000_000.0


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunPlan:
    plan = make_run(str(tmp_path), until="captions", captions={"total": 120})
    monkeypatch.setattr(rates.time, "time", lambda: NOW)
    return plan


def made(stage: Stage, count: int, apart: float, ago: float) -> Stage:
    """As if of its shards the first `count` had been made, `apart` seconds apart, the last of them `ago` seconds ago."""
    for shard in stage.shards():
        if shard.index >= count:
            storage.remove(shard.file("json"))
            storage.remove(shard.file("made.json"))
        else:
            when = {"run": "made-up", "flow_run": None, "unix_time": NOW - ago - apart * (count - 1 - shard.index)}
            storage.write_bytes(shard.file("made.json"), json.dumps(when | {"seconds": apart}).encode())
    return stage


def test_shards_that_come_steadily_tell_when_the_rest_is_there(plan: RunPlan) -> None:
    rate = open_rate(made(plan.stages["captions"], 4, apart=20, ago=3), plan, 4)
    assert (rate.done, rate.total, rate.speed, rate.left) == (4, 10, "20.0 s a shard", "2 min 00 s left")
    assert rate.percent == 40


def test_one_shard_tells_nothing_and_neither_does_a_long_silence(plan: RunPlan) -> None:
    stage = plan.stages["captions"]
    quiet = open_rate(made(stage, 4, apart=20, ago=3600), plan, 4)
    assert (quiet.speed, quiet.left) == ("nothing new for 1 h 00 min", "")
    alone = open_rate(made(stage, 1, apart=20, ago=1), plan, 1)
    assert (alone.done, alone.speed, alone.left) == (1, "", "")


def test_an_encoder_is_counted_in_steps(plan: RunPlan) -> None:
    encoder = plan.stages["encoder"]
    assert open_rate(encoder, plan, 0).unit == "steps" and open_rate(encoder, plan, 0).speed == ""
    rows = "".join(json.dumps({"step": step, "seconds": 0.5}) + "\n" for step in range(20))
    storage.write_bytes(metrics_url(encoder.folder), rows.encode())
    rate = open_rate(encoder, plan, 0)
    assert (rate.done, rate.total, rate.speed, rate.left) == (20, 60, "2 steps a second", "20.0 s left")
    assert time.time() == NOW
