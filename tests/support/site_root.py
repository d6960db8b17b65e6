"""A root of runs to look at through the site: whole, sharing stages, failed, damaged, of another version."""

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from data_specs.rejection import Rejection
from flows.inspect.stage_events import EVENTS
from flows.runs.plan import RunPlan
from support import made_up_run
from support.made_up_run import make_run
from tasks import storage
from tasks.shards import data_file

SMALL = {"total": 12, "per_shard": 3}
SCRIPT = "<script>alert('caption')</script>"
WAITS = "waits for the engine slot that run first holds for scores since 07:31 UTC"
WHY = "captions-000001.tar is damaged: sha256 0123456789ab is not the sealed one"


def make_root(root: str) -> dict[str, RunPlan]:
    """Runs by name: `first` is whole; `second` shares its captions, not its images; `scripted` has captions that hold markup;

    `broken` failed in its images: of its captions one is cut short, of its images one is missing and in one a byte is another.
    `waiting` waits for an engine for its images; `older` has a plan that cannot be read.
    """
    runs = {
        "first": make_run(root, "first", captions=SMALL),
        "second": make_run(root, "second", captions=SMALL, images={"guidance_scale": 5.0}),
        "scripted": _scripted(root),
        "broken": make_run(root, "broken", until="images", captions=SMALL | {"max_words": 43}),
        "waiting": make_run(root, "waiting", until="images", captions=SMALL | {"max_words": 44}),
    }
    captions, images = (runs["broken"].stages[stage] for stage in ("captions", "images"))
    _cut(data_file(captions.shard(1), "tar"))
    storage.remove(images.shard(3).file("json"))
    change_a_byte(data_file(images.shard(2), "tar"))
    _write_event(runs["broken"], "images", "FAIL", why=WHY)
    for shard in runs["waiting"].stages["images"].shards():
        storage.remove(shard.file("json"))
    _write_event(runs["waiting"], "images", "RUNNING", waits=WAITS)
    storage.write_bytes(f"{root}/runs/older/plan.json", b"{}")
    return runs


def _scripted(root: str) -> RunPlan:
    planned = made_up_run._planned
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            made_up_run,
            "_planned",
            lambda shard, count: (
                each if isinstance(each, Rejection) else replace(each, text=f"{each.text} {SCRIPT}")
                for each in planned(shard, count)
            ),
        )
        return make_run(root, "scripted", captions=SMALL | {"max_words": 41})


def _cut(file: str) -> None:
    path = Path(file)
    path.write_bytes(path.read_bytes()[:2000])


def change_a_byte(file: str) -> None:
    """In the middle of the file, whose size stays."""
    path = Path(file)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _write_event(plan: RunPlan, stage: str, kind: str, why: str = "", waits: str = "") -> None:
    facets = {
        "synclr_stage": {"stage": stage, "flowRun": "11111111-0000-4000-8000-000000000000", "waitsFor": waits},
        "parent": {"run": {"runId": "22222222-0000-4000-8000-000000000000"}},
        "errorMessage": {"message": why},
    }
    event = {"eventType": kind, "eventTime": "2026-11-30T06:03:11.5+00:00", "run": {"runId": "x", "facets": facets}}
    storage.write_bytes(f"{plan.folder}/{EVENTS}", json.dumps(event).encode() + b"\n")


def commands_of(page: str) -> list[str]:
    """The commands that a page prints, one after the other, as they are typed."""
    found = re.search(r"<pre class=\"command\"[^>]*>(.*?)</pre>", page, re.DOTALL)
    return unescape(found[1]).split("\n\n") if found else []
