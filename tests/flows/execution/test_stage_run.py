"""What a stage's shards have to tell reaches its listeners, the same words once."""

import pytest

from data_specs.errors import ContractError
from flows.execution import stage_run as module
from flows.execution.stage_run import StageRun
from flows.runs.planning import plan_run
from flows.runs.request import Request
from support.made_up_run import make_run
from tasks import storage
from tasks.events import Advanced, Milestone, Notice, Waiting


def test_a_notice_that_every_shard_sends_is_told_once_a_stage(tmp_path):
    fakes = {"captions": {"engine": "fake"}, "images": {"engine": "fake"}}
    events = []
    plan = plan_run(Request("tiny", "a", str(tmp_path), settings=fakes), "me", [events.append])
    stage_run = StageRun(plan, "captions")
    sent = [Notice("a", "captions", text) for text in ("same", "same", "other", "same")]
    for event in (*sent, Advanced("a", "captions", 1), Advanced("a", "captions", 1)):
        stage_run.emit(event)
    assert [event.text for event in events if isinstance(event, Notice)] == ["same", "other"]
    assert sum(isinstance(event, Advanced) for event in events) == 2
    StageRun(plan, "captions").emit(sent[0])
    assert [event.text for event in events if isinstance(event, Notice)] == ["same", "other", "same"], (
        "another run tells again"
    )


def test_the_time_for_which_a_stage_waits_for_an_engine_slot_is_no_work_of_it(tmp_path, monkeypatch):
    clock, events = [100.0], []
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    plan = make_run(str(tmp_path), until="captions").model_copy(update={"listeners": (events.append,)})
    stage_run = StageRun(plan, "captions")
    for at, text in ((101.0, "waits for the engine slot that run a holds"), (150.0, "waits for run b"), (281.0, "")):
        clock[0] = at
        stage_run.waits(text)
    clock[0] = 285.0
    assert stage_run.seconds == 5.0 and stage_run.finish().seconds == 5.0
    assert [event.text for event in events if isinstance(event, Waiting)][-1] == ""


def test_a_stage_tells_what_it_makes_what_it_reused_from_which_run_and_why_it_failed(tmp_path):
    make_run(str(tmp_path), "first", until="captions", captions={"total": 24})
    plan, events = make_run(str(tmp_path), "second", until="captions"), []
    plan = plan.model_copy(update={"listeners": (events.append,)})
    with StageRun(plan, "captions") as stage_run:
        stage_run.begin("captions", 48, 48)
        stage_run.finish()
    storage.remove(plan.stages["captions"].shard(3).file("json"))
    with pytest.raises(ContractError), StageRun(plan, "captions") as stage_run:
        stage_run.begin("captions", 48, 36)
        raise ContractError("captions-000001.tar is damaged")
    told = [(event.text, event.failed) for event in events if isinstance(event, Milestone)]
    assert told == [
        ("captions begins: 0 of 4 shards to make", False),
        ("captions sealed: 4 reused (2 of run second, 2 of run first), 48 accepted, 20 rejected", False),
        ("captions begins: 1 of 4 shards to make", False),
        ("captions failed: captions-000001.tar is damaged", True),
    ]
