"""How a stage ended last is read from the events beside the run."""

import json
from pathlib import Path
from typing import Any

from flows.inspect.stage_events import EVENTS, failed_stage, last_events, waiting_stage
from support.made_up_run import make_run
from tasks import storage


def event(stage: str, kind: str, time: str, waits: str = "", **facets: Any) -> bytes:
    known = {"synclr_stage": {"stage": stage, "flowRun": "f-1", "waitsFor": waits}, "parent": {"run": {"runId": "w-1"}}}
    return json.dumps({"eventType": kind, "eventTime": time, "run": {"facets": known | facets}}).encode() + b"\n"


def test_the_newest_event_of_each_stage_counts_and_lines_cut_short_do_not(tmp_path: Path) -> None:
    plan = make_run(str(tmp_path), until="captions")
    why = {"message": "a disk is full", "programmingLanguage": "PYTHON"}
    lines = [
        event("captions", "FAIL", "1", errorMessage=why),
        event("captions", "COMPLETE", "2"),
        event("images", "START", "3"),
        event("images", "FAIL", "4", errorMessage=why),
    ]
    storage.write_bytes(f"{plan.folder}/{EVENTS}", b"".join(lines) + lines[0][:50])
    found = last_events(plan)
    assert [(each.stage, each.type, each.time) for each in found.values()] == [
        ("captions", "COMPLETE", "2"),
        ("images", "FAIL", "4"),
    ]
    assert (found["images"].message, found["images"].flow_run, found["images"].whole_run) == (
        "a disk is full",
        "f-1",
        "w-1",
    )
    assert failed_stage(plan, found) == "images"
    storage.write_bytes(f"{plan.folder}/{EVENTS}", b"".join(lines) + event("captions", "START", "5"))
    assert failed_stage(plan, last_events(plan)) == "", "it is being tried again, and waits before its images"
    make_run(str(tmp_path), until="images")
    assert failed_stage(plan, found) == "", "it was made since"


def test_a_stage_waits_until_it_goes_on_or_another_run_has_made_it(tmp_path: Path) -> None:
    plan = make_run(str(tmp_path), until="captions")
    slot = "waits for the engine slot that run other holds for images since 07:31 UTC"
    lines = [event("images", "START", "3"), event("images", "RUNNING", "4", waits=slot)]
    storage.write_bytes(f"{plan.folder}/{EVENTS}", b"".join(lines))
    found = last_events(plan)
    waits = waiting_stage(plan, found)
    assert waits and (waits.stage, waits.waits, failed_stage(plan, found)) == ("images", slot, "")
    storage.write_bytes(f"{plan.folder}/{EVENTS}", b"".join([*lines, event("images", "RUNNING", "5")]))
    assert waiting_stage(plan, last_events(plan)) is None
    make_run(str(tmp_path), until="images")
    assert waiting_stage(plan, found) is None, "it was made since"


def test_a_run_without_events_has_none(tmp_path: Path) -> None:
    assert last_events(make_run(str(tmp_path), until="concepts")) == {}


def test_each_slice_has_a_file_of_its_own_and_the_newest_event_of_all_counts(tmp_path):
    plan = make_run(str(tmp_path), until="captions")
    storage.write_bytes(f"{plan.folder}/openlineage-2.jsonl", event("images", "FAIL", "5"))
    assert last_events(plan)["images"].type == "FAIL"
    storage.write_bytes(f"{plan.folder}/{EVENTS}", event("images", "START", "6") + event("captions", "START", "1"))
    storage.write_bytes(f"{plan.folder}/openlineage-3.jsonl", event("captions", "COMPLETE", "4"))
    assert {name: found.type for name, found in last_events(plan).items()} == {
        "images": "START",
        "captions": "COMPLETE",
    }
