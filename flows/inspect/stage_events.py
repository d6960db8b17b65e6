"""Read how a run's stages began and ended last, from the OpenLineage events that are kept beside the run."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flows.runs.plan import RunPlan
from tasks import storage
from tasks.shards import missing

EVENTS = "openlineage.jsonl"
END_BYTES = 1 << 20
"""Read of the file's end: some hundred events."""
FAILED, STOPPED = "FAIL", "ABORT"


@dataclass(frozen=True, slots=True)
class StageEvent:
    """The newest event of a stage: `START`, `COMPLETE`, `FAIL` or `ABORT`; `time` is ISO 8601, `message` says why it failed.

    `flow_run` and `whole_run` are the ids by which a Prefect server knows the stage's flow run and the one around it.
    """

    stage: str
    type: str
    time: str
    message: str
    flow_run: str
    whole_run: str


def last_events(plan: RunPlan) -> dict[str, StageEvent]:
    """By stage; empty where no events are kept. Events that are sent elsewhere, and those of a remote root, are not here."""
    found: dict[str, StageEvent] = {}
    for line in _end(f"{plan.folder}/{EVENTS}"):
        with suppress(ValueError, KeyError, TypeError):  # cut short: at the end by a kill, at the beginning by us
            event = _parsed(json.loads(line))
            found[event.stage] = event
    return found


def failed_stage(plan: RunPlan, events: Mapping[str, StageEvent]) -> str:
    """The stage in which the run ended; empty if it did not, was tried again since, or another run has made that stage."""
    newest = max(events.values(), key=lambda event: event.time, default=None)
    if newest is None or newest.type != FAILED or newest.stage not in plan.stages:
        return ""
    return newest.stage if missing(plan.stages[newest.stage]) else ""


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
        stage["flowRun"],
        facets.get("parent", {}).get("run", {}).get("runId", ""),
    )
