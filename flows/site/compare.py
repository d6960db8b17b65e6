"""Two runs side by side: in which settings they differ, which stages they share, how their scores compare."""

import json
from dataclasses import dataclass
from typing import Any

from data_specs.embedding import JOINT
from data_specs.stage import STAGES
from flows.inspect.readable import readable
from flows.inspect.runs import runs_under
from flows.report.score_tables import ScoreRow, score_tables
from flows.runs.plan import RunPlan
from flows.runs.resolve import CONTENTS, changed_fields
from flows.site.addresses import FRONT
from flows.site.site import Site, SitePage
from tasks.shards import missing

NOT_HERE = "-"
Field = tuple[str, str, str]
"""The path of a setting, and its two values as JSON."""


@dataclass(frozen=True, slots=True)
class ComparedStage:
    """`fields` are the facts beside the recipe in which two lineages differ: models and their revisions, lists, prompts."""

    stage: str
    lineages: tuple[str, str]
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class ComparedScore:
    """One benchmark and protocol; None where a run has no such score. `points` is right minus left, in per cent."""

    name: str
    left: ScoreRow | None
    right: ScoreRow | None
    points: float | None


def compare_view(site: Site, left: str, right: str) -> SitePage:
    plans = site.plan(left), site.plan(right)
    described = {run["run"]: run for run in runs_under(site.root, as_planned=True)}
    specs = [{"recipe": plan.source["recipe"]} | plan.spec.model_dump(mode="json") for plan in plans]
    scores, fault = readable(_scores, *plans)
    content = {
        "runs": [described[left], described[right]],
        "fields": _fields(*specs),
        "stages": [_stage(name, *plans) for name in STAGES],
        "scores": scores or [],
        "fault": fault,
    }
    return SitePage("compare.html", f"{left} and {right}", (("runs", FRONT),), content)


def _fields(left: Any, right: Any) -> tuple[Field, ...]:
    return tuple((path, _written(old), _written(new)) for path, old, new in changed_fields(left, right))


def _written(value: Any) -> str:
    return NOT_HERE if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _stage(name: str, left: RunPlan, right: RunPlan) -> ComparedStage:
    stages = left.stages[name], right.stages[name]
    facts = [{key: value for key, value in each.facts.items() if key not in (CONTENTS, "spec")} for each in stages]
    return ComparedStage(name, (stages[0].lineage, stages[1].lineage), _fields(*facts))


def _scores(left: RunPlan, right: RunPlan) -> list[ComparedScore]:
    """In the order of the left run's tables, then those that only the right one has."""
    found = [_trained(plan) for plan in (left, right)]
    return [_compared(name, *(each.get(name) for each in found)) for name in dict.fromkeys([*found[0], *found[1]])]


def _compared(name: str, left: ScoreRow | None, right: ScoreRow | None) -> ComparedScore:
    points = 100 * (right.mean - left.mean) if left and right else None
    return ComparedScore(name, left, right, points)


def _trained(plan: RunPlan) -> dict[str, ScoreRow]:
    stage = plan.stages["scores"]
    return {
        f"{table.benchmark}{table.subset}, {table.protocol}".replace("_", " "): row
        for table in ([] if missing(stage) else score_tables(stage))
        for row in table.score_rows
        if row.kind in ("trained", JOINT)
    }
