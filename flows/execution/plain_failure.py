"""End a flow run that failed with one line as its State Message: what is wrong, where, and the way out."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect.states import Failed

from flows.server.plain_errors import explained

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def plain_failure(work: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Of a flow's function: what a person or a machine has caused becomes the failed state itself, whose message begins with it.

    Prefect puts "Flow run encountered an exception" and a class name before every error, of which lists show nothing else. Who
    asks for the flow's result gets the error as before. Mistakes of the program keep their traceback.
    """

    @wraps(work)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
        try:
            return work(*args, **kwargs)
        except Exception as error:
            if line := explained(error):
                return Failed(message=line, data=error)
            raise

    return run
