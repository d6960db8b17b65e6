"""List the runs under a root: how far each is, its size, first score and age."""

from typing import Any

from data_specs.errors import SynclrError
from flows.runs.plan import read_plan, read_records, run_names
from flows.runs.status import progress, state, status
from tasks.scores.summary import first_score
from tasks.shards import missing


def runs_under(root: str, *, as_planned: bool = False) -> list[dict[str, Any]]:
    """`{"run", "state", "captions", "score", "unix_time", "fault"}` of each, those that sealed something last first.

    `score` is `{"benchmark", "protocol", "value"}`, or None until it is measured; `fault` says why a run cannot be read.
    A recipe that was edited since makes a run stale, which takes a fifth of a second each to know; not so `as_planned`.
    """
    return sorted(
        (_described(root, name, as_planned) for name in run_names(root)),
        key=lambda run: (-(run["unix_time"] or 0), run["run"]),
    )


def _described(root: str, name: str, as_planned: bool) -> dict[str, Any]:
    entries = [entry for entry in read_records(root, name).values() if isinstance(entry, dict)]
    times = [float(entry.get("unix_time", 0)) for entry in entries]
    found: dict[str, Any] = {"run": name, "captions": None, "score": None, "unix_time": max(times, default=None)}
    try:
        plan = read_plan(root, name)
        scores, rows = plan.stages["scores"], progress(plan) if as_planned else status(root, name)
        score = None if missing(scores) else first_score(scores)
    except SynclrError as error:
        return found | {"state": "cannot be read", "fault": str(error)}
    return found | {"state": state(plan, rows), "captions": plan.spec.captions.total, "score": score, "fault": None}
