"""A flow that, when it fails, has one line as its State Message: what is wrong, where, and the way out."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect import Flow, flow
from prefect.states import Crashed, Failed

from flows.server.outage import lost_its_server
from flows.server.plain_errors import explained

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def plain_flow(
    name: str, flow_run_name: Callable[[], str] | str
) -> Callable[[Callable[Parameters, Result]], Flow[Parameters, Result]]:
    """Of what a person or a machine has caused, the line becomes the failed state's message, from its first letter.

    Prefect puts "Flow run encountered an exception" and a class name before every error, of which lists show nothing else. Who
    asks for the flow's result gets the error as before. Mistakes of the program keep their traceback. A run whose server went
    away is crashed, not failed: whoever looks after runs puts it back (`flows/server/recovery.py`).
    """

    def decorate(work: Callable[Parameters, Result]) -> Flow[Parameters, Result]:
        @wraps(work)
        def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
            try:
                return work(*args, **kwargs)
            except Exception as error:
                if line := explained(error):
                    ended = Crashed if lost_its_server(error) else Failed
                    return ended(message=line, data=error)
                raise

        return flow(name=name, flow_run_name=flow_run_name)(run)

    return decorate
