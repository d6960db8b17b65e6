"""Prefect's worker as we start it: `python -m flows.server.work worker start ...` is `prefect worker start ...`.

After a flow run's process that failed it writes into the run's log to "check the flow run logs for an unhandled exception". Our
runs say what went wrong, and the way out, in their state.
"""

from typing import Any

from prefect._internal.infrastructure_exit_codes import INFRASTRUCTURE_EXIT_HINTS, InfrastructureExitInfo

FAILED = 1
HINT = InfrastructureExitInfo("The run failed: its State Message, in Details, or the log above says why.", "")


def main() -> Any:
    INFRASTRUCTURE_EXIT_HINTS[FAILED] = HINT
    from prefect.cli import app

    return app()


if __name__ == "__main__":
    main()
