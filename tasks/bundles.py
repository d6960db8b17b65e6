"""Bundles: the shards of a stage that one engine makes in one Prefect task. One shape and one retry rule for all stages."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar

from prefect import runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from data_specs.errors import EngineError, SpecError
from data_specs.model_identity import ModelIdentity
from data_specs.shard import UNNAMED, MadeBy, ShardAddress
from data_specs.stage import Stage
from tasks.events import Notice

Settings = TypeVar("Settings")
Inputs = TypeVar("Inputs")
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

RETRIES = 2
RETRY_DELAYS_SECONDS = [1.0, 5.0]


@dataclass(frozen=True, slots=True)
class Work(Generic[Settings, Inputs]):
    """Which shards of `stage` to make, by which settings, and from what: `inputs` has a type of its own in each stage."""

    stage: Stage
    indices: tuple[int, ...]
    settings: Settings
    inputs: Inputs
    seed: int
    made_by: MadeBy = UNNAMED

    @property
    def shards(self) -> list[ShardAddress]:
        return [self.stage.shard(index) for index in self.indices]


def require_planned(stage: Stage, fact: str, found: ModelIdentity | None) -> None:
    """Raises SpecError if a model that was loaded is not the one that the stage's lineage is a digest of."""
    planned = stage.facts.get(fact)
    if planned is not None and found is not None and [found.id, found.revision] != list(planned):
        raise SpecError(
            f"{stage.name}: the {fact} {found.id} is {found.revision} here and was {planned[1]} when the run was planned: its "
            "files were edited, or this machine holds others; run it again, to plan with these"
        )


def bundle_task(name: str) -> Callable[[Callable[Parameters, Result]], Task[Parameters, Result]]:
    """A Prefect task that is retried when an engine failed, and never for a wrong request or a broken contract.

    What it is retried for is told to the bundle's `emit`: a server that fails is waited for for minutes.
    """

    def decorated(function: Callable[Parameters, Result]) -> Task[Parameters, Result]:
        @functools.wraps(function)
        def telling(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            try:
                return function(*args, **kwargs)
            except EngineError as error:
                if (runtime.task_run.run_count or 0) <= RETRIES:
                    bundle = inspect.signature(function).bind(*args, **kwargs).arguments
                    made_by, stage = bundle["work"].made_by, bundle["work"].stage
                    bundle["emit"](Notice(made_by.run, stage.name, f"an engine failed and is tried again: {error}"))
                raise

        return task(
            name=name,
            retries=RETRIES,
            retry_delay_seconds=RETRY_DELAYS_SECONDS,
            retry_condition_fn=engine_failed,
            cache_policy=NO_CACHE,
        )(telling)

    return decorated


def engine_failed(_task: "Task[..., Any]", _run: TaskRun, state: State[Any]) -> bool:
    return isinstance(state.result(raise_on_failure=False), EngineError)
