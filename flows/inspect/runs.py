"""List the runs under a root: how far each is, its size, first score and age."""

from collections.abc import Sequence
from typing import Any

from data_specs.errors import SynclrError
from data_specs.stage import STAGES
from flows.runs.plan import RunPlan, read_plan, read_records, run_names
from flows.runs.status import StageStatus, status
from tasks.scores.summary import first_score
from tasks.shards import missing


def runs_under(root: str) -> list[dict[str, Any]]:
    """`{"run", "state", "captions", "score", "unix_time", "fault"}` of each, those that sealed something last first.

    `score` is `{"benchmark", "protocol", "value"}`, or None until it is measured; `fault` says why a run cannot be read.
    """
    return sorted(
        (_described(root, name) for name in run_names(root)), key=lambda run: (-(run["unix_time"] or 0), run["run"])
    )


def _described(root: str, name: str) -> dict[str, Any]:
    entries = [entry for entry in read_records(root, name).values() if isinstance(entry, dict)]
    times = [float(entry.get("unix_time", 0)) for entry in entries]
    found: dict[str, Any] = {"run": name, "captions": None, "score": None, "unix_time": max(times, default=None)}
    try:
        plan = read_plan(root, name)
        scores, state = plan.stages["scores"], _state(plan, status(root, name))
        score = None if missing(scores) else first_score(scores)
    except SynclrError as error:
        return found | {"state": "cannot be read", "fault": str(error)}
    return found | {"state": state, "captions": plan.spec.captions.total, "score": score, "fault": None}


def _state(plan: RunPlan, rows: Sequence[StageStatus]) -> str:
    """`finished`, `finished to images`, `captions 3/16`, `encoder is stale`: of the stages that the run was asked for."""
    for row in rows:
        if row.stage in plan.requested:
            if row.stale:
                return f"{row.stage} is stale"
            if row.made < row.planned:
                return f"{row.stage} {row.made}/{row.planned}"
    return "finished" if plan.until == STAGES[-1] else f"finished to {plan.until}"
