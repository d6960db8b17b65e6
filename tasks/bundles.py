"""One retry policy for every room: an engine may fail twice, a wrong request or a broken contract never again."""

from typing import Any

from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from data_specs.errors import EngineError

RETRIES = 2
RETRY_DELAYS_SECONDS = [1.0, 5.0]


def engine_failed(_task: "Task[..., Any]", _run: TaskRun, state: State[Any]) -> bool:
    return isinstance(state.result(raise_on_failure=False), EngineError)
