"""What a stage's shards have to tell reaches its listeners, the same words once."""

from flows.execution.stage_run import StageRun
from flows.runs.planning import plan_run
from flows.runs.request import Request
from tasks.events import Advanced, Notice


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
