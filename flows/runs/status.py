"""The status of a run: what each of its stages has made and refused, and which fields of the recipe made it stale."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from data_specs.errors import ShardError
from data_specs.specs.run import RunSpec
from data_specs.stage import STAGES, SealedStage, Stage
from flows.runs.plan import read_plan, read_sealed
from flows.runs.planning import replan
from flows.runs.resolve import stale_fields
from flows.runs.throughput import per_second
from tasks import storage
from tasks.shard_faults import unlike_sealed
from tasks.shards import manifests


@dataclass(frozen=True, slots=True)
class StageStatus:
    """`stale` names the fields by which this stage differs from what the run made before, or from its recipe as it is now.

    `damaged` are sealed shards of which a file is missing or of another size: they count as not made.
    `seconds`, `per_second` (records; images in images) and `engine_busy` are of its last run that made something.
    """

    stage: str
    lineage: str
    made: int
    planned: int
    accepted: int
    rejected: dict[str, int]
    stale: tuple[str, ...]
    damaged: tuple[str, ...] = ()
    seconds: float | None = None
    per_second: float | None = None
    engine_busy: float | None = None

    @property
    def finished(self) -> bool:
        return self.made == self.planned and not self.stale


def status(root: str, name: str) -> list[StageStatus]:
    """Raises SpecError if there is no such run, ShardError for a manifest that cannot be read."""
    plan = replan(read_plan(root, name))
    before = read_sealed(plan)
    try:
        return [_stage_status(plan.stages[stage], before.get(stage), plan.spec) for stage in STAGES]
    except ShardError as error:
        raise error.of_run(name, root) from None


def _stage_status(stage: Stage, before: SealedStage | None, spec: RunSpec) -> StageStatus:
    found = [manifest for manifest in manifests(stage) if manifest]
    sizes = {entry.name: entry.size for entry in storage.entries(stage.folder)}
    faults = [unlike_sealed(stage.shard(manifest.index), manifest, sizes) for manifest in found]
    rejected: Counter[str] = Counter()
    for manifest in found:
        rejected.update(manifest.rejected)
    return StageStatus(
        stage.name,
        stage.lineage,
        sum(not unlike for unlike in faults),
        stage.count,
        sum(manifest.accepted for manifest in found),
        dict(sorted(rejected.items())),
        tuple(stale_fields(stage, before)),
        tuple(fault for unlike in faults for fault in unlike),
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
