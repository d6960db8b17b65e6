"""The status of a run: what each of its stages has made and refused, and which fields of the recipe made it stale."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from data_specs.specs.run import RunSpec
from data_specs.stage import STAGES, SealedStage, Stage
from flows.runs.plan import RunPlan, read_plan, read_sealed
from flows.runs.planning import replan
from flows.runs.resolve import stale_fields
from flows.runs.throughput import per_second
from tasks.shards import manifests, missing


@dataclass(frozen=True, slots=True)
class StageStatus:
    """`stale` names the fields by which this stage differs from what the run made before, or from its recipe as it is now.

    `seconds`, `per_second` (records; images in images) and `engine_busy` are of its last run that made something.
    """

    stage: str
    lineage: str
    made: int
    planned: int
    accepted: int
    rejected: dict[str, int]
    stale: tuple[str, ...]
    seconds: float | None = None
    per_second: float | None = None
    engine_busy: float | None = None

    @property
    def finished(self) -> bool:
        return self.made == self.planned and not self.stale


@dataclass(frozen=True, slots=True)
class StageProgress:
    """How many shards of a stage are sealed, by one listing of its folder; `stale` by its plan, and not by its recipe today."""

    stage: str
    made: int
    planned: int
    stale: tuple[str, ...]


def progress(plan: RunPlan) -> list[StageProgress]:
    """How far a run is by its plan alone: quick however large it is, since no manifest, list or prompt is read."""
    before = read_sealed(plan)
    return [
        StageProgress(
            name,
            (stage := plan.stages[name]).count - len(missing(stage)),
            stage.count,
            tuple(stale_fields(stage, before.get(name))),
        )
        for name in STAGES
    ]


def state(plan: RunPlan, rows: Sequence[StageProgress | StageStatus]) -> str:
    """`finished`, `finished to images`, `captions 3/16`, `encoder is stale`: of the stages that the run was asked for."""
    for row in rows:
        if row.stage in plan.requested:
            if row.stale:
                return f"{row.stage} is stale"
            if row.made < row.planned:
                return f"{row.stage} {row.made}/{row.planned}"
    return "finished" if plan.until == STAGES[-1] else f"finished to {plan.until}"


def status(root: str, name: str) -> list[StageStatus]:
    """Raises SpecError if there is no such run."""
    plan = replan(read_plan(root, name))
    before = read_sealed(plan)
    return [_stage_status(plan.stages[name], before.get(name), plan.spec) for name in STAGES]


def _stage_status(stage: Stage, before: SealedStage | None, spec: RunSpec) -> StageStatus:
    found = [manifest for manifest in manifests(stage) if manifest]
    rejected: Counter[str] = Counter()
    for manifest in found:
        rejected.update(manifest.rejected)
    return StageStatus(
        stage.name,
        stage.lineage,
        len(found),
        stage.count,
        sum(manifest.accepted for manifest in found),
        dict(sorted(rejected.items())),
        tuple(stale_fields(stage, before)),
        *_last_run(stage, before, spec),
    )


def _last_run(
    stage: Stage, before: SealedStage | None, spec: RunSpec
) -> tuple[float | None, float | None, float | None]:
    if before is None or before.lineage != stage.lineage:
        return None, None, None
    return before.seconds, per_second(before, spec), before.engine_busy


def as_json(rows: list[StageStatus]) -> list[dict[str, Any]]:
    return [asdict(row) | {"finished": row.finished} for row in rows]
