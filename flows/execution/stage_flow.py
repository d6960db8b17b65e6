"""Make the verb of a stage a Prefect flow that runs only where the plan requests it."""

from collections.abc import Callable
from functools import wraps

from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.utilities.annotations import quote

from data_specs.stage import STAGES, SealedStage
from flows.execution.plain_flow import plain_flow
from flows.execution.stage_run import sum_up
from flows.runs.plan import RunPlan, read_sealed, record_sealed

Verb = Callable[..., SealedStage]


def stage_flow(name: str, run_name: str) -> Callable[[Verb], Verb]:
    """Make a verb a Prefect flow that runs only where the plan requests its stage.

    A stage before `since` is sealed (preflight has looked) and returned as it is; after `until` the stage before is passed on.
    Only the run around it has a heartbeat, by which a machine that is gone is noticed: Prefect waits up to a second for its end.
    """

    def decorate(verb: Verb) -> Verb:
        run_stage = plain_flow(name, run_name)(verb)

        @wraps(verb)
        def when_requested(plan: RunPlan, upstream: SealedStage | None = None) -> SealedStage:
            if name in plan.requested:
                # Quoted: Prefect draws an edge from whatever returned an object that is an argument here, or part of one, and
                # the plan shares its words with every stage's result. Edges are to lead from stage to stage alone.
                carried = quote(plan)
                with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
                    return run_stage(carried) if upstream is None else run_stage(carried, upstream)
            if STAGES.index(name) < STAGES.index(plan.since):
                return _recorded(plan, name)
            assert upstream is not None  # only the first stage has none, and it is never after `until`
            return upstream

        return when_requested

    return decorate


def _recorded(plan: RunPlan, name: str) -> SealedStage:
    """What the run recorded of a stage that this flow run does not make; summed up from its manifests if it did not."""
    stage, recorded = plan.stages[name], read_sealed(plan).get(name)
    if recorded is not None and (recorded.lineage, recorded.count) == (stage.lineage, stage.count):
        return recorded
    return record_sealed(plan, sum_up(stage, made=0))
