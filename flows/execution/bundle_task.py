"""What makes a bundle of shards, as a Prefect task: one retry rule for all stages.

Below the flows nothing knows Prefect: an engine's process would load it, a second and 60 MB each.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from data_specs.errors import EngineError
from tasks.events import Notice

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

RETRIES = 2
RETRY_DELAYS_SECONDS = [1.0, 5.0]


def bundle_task(name: str, make: Callable[Parameters, Result]) -> Task[Parameters, Result]:
    """A Prefect task that is retried when an engine failed, and never for a wrong request or a broken contract.

    `make` takes `work` and `emit`, which is told what the bundle is retried for: a server that fails is waited for for minutes.
    """

    @functools.wraps(make)
    def telling(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return make(*args, **kwargs)
        except EngineError as error:
            if (runtime.task_run.run_count or 0) <= RETRIES:
                bundle = inspect.signature(make).bind(*args, **kwargs).arguments
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


def engine_failed(_task: "Task[..., Any]", _run: TaskRun, state: State[Any]) -> bool:
    return isinstance(state.result(raise_on_failure=False), EngineError)
