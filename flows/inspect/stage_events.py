"""Read how a run's stages began and ended last, from the OpenLineage events that are kept beside the run."""

import fnmatch
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from data_specs.json_text import parse_json
from flows.runs.plan import RunPlan
from tasks import storage
from tasks.shards import missing

EVENTS = "openlineage.jsonl"
EVENTS_OF_SLICE = "openlineage-{}.jsonl"
"""Beside those of the run, one file for each slice that made a part of it."""
END_BYTES = 1 << 20
"""Read of the file's end: some hundred events."""
FAILED, STOPPED, RUNNING = "FAIL", "ABORT", "RUNNING"


@dataclass(frozen=True, slots=True)
class StageEvent:
    """The newest event of a stage: `START`, `RUNNING`, `COMPLETE`, `FAIL` or `ABORT`; `time` is ISO 8601.

    `message` says why it failed, `waits` what it waits for.

    `flow_run` and `whole_run` are the ids by which a Prefect server knows the stage's flow run and the one around it.
    """

    stage: str
    type: str
    time: str
    message: str
    waits: str
    flow_run: str
    whole_run: str


def last_events(plan: RunPlan) -> dict[str, StageEvent]:
    """By stage; empty where no events are kept. Events that are sent elsewhere, and those of a remote root, are not here."""
    found: dict[str, StageEvent] = {}
    for name in (EVENTS, *fnmatch.filter(storage.names(plan.folder), EVENTS_OF_SLICE.format("*"))):
        for line in _end(f"{plan.folder}/{name}"):
            with suppress(ValueError, KeyError, TypeError):  # cut short: at the end by a kill, at the beginning by us
                event = _parsed(parse_json(line))
                if event.stage not in found or event.time >= found[event.stage].time:
                    found[event.stage] = event
    return found


def failed_stage(plan: RunPlan, events: Mapping[str, StageEvent]) -> str:
    """The stage in which the run ended; empty if it did not, was tried again since, or another run has made that stage."""
    newest = _newest(plan, events)
    return newest.stage if newest and newest.type == FAILED and missing(plan.stages[newest.stage]) else ""


def waiting_stage(plan: RunPlan, events: Mapping[str, StageEvent]) -> StageEvent | None:
    """The newest event of the stage in which the run waits; None if it does not, or if another run has made that stage."""
    newest = _newest(plan, events)
    return newest if newest and newest.waits and missing(plan.stages[newest.stage]) else None


def _newest(plan: RunPlan, events: Mapping[str, StageEvent]) -> StageEvent | None:
    newest = max(events.values(), key=lambda event: event.time, default=None)
    return newest if newest and newest.stage in plan.stages else None


def _end(url: str) -> list[bytes]:
    try:
        with storage.open_read(url) as stream:
            stream.seek(max(0, stream.seek(0, 2) - END_BYTES))
            return stream.read().splitlines()
    except FileNotFoundError:
        return []


def _parsed(event: dict[str, Any]) -> StageEvent:
    facets = event["run"]["facets"]
    stage = facets["synclr_stage"]
    return StageEvent(
        stage["stage"],
        event["eventType"],
        event["eventTime"],
        facets.get("errorMessage", {}).get("message", ""),
        stage["waitsFor"] if event["eventType"] == RUNNING else "",
        stage["flowRun"],
        facets.get("parent", {}).get("run", {}).get("runId", ""),
    )
