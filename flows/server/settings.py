"""All settings of Prefect that we make: they must stand before it is imported. What the user has set wins."""

import os
import sys

from flows.server.home import require_prefect_home, settle_home
from flows.server.network import reach_loopback

DEFAULTS = {
    # No word leaves this machine: server heartbeat, client analytics.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # The newer pages make the browser ask a host outside, whatever is set; these ask nothing.
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
    # A run that says nothing for three of these is taken for dead (flows/server/deployments.py).
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    # A run without a server starts its own; on a busy laptop that takes longer than the default 20 s.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    # Everything goes to the server's log of the run; the terminal belongs to the progress bars and one clear error line.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    # Task runs are written down in batches: 2,000 at once took 0.1 s instead of 78 s after the flow's end (docs/scaling.md).
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
}


# A run's own server writes down and answers. Whatever acts (schedules, automations) is for one that stands, or acts twice.
ONLY_RECORDS = {
    f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false"
    for service in (
        "SCHEDULER",
        "LATE_RUNS",
        "PAUSE_EXPIRATIONS",
        "CANCELLATION_CLEANUP",
        "FOREMAN",
        "TRIGGERS",
        "REPOSSESSOR",
    )
}


def prepare(**instead: str) -> None:
    """Set the defaults in this process, for Prefect here and in its children; `instead` names other values for some.

    Raises SpecError if Prefect has no folder to keep its records in.
    """
    for line in [*settle_home(), *reach_loopback()]:
        print(f"synclr: {line}", file=sys.stderr, flush=True)
    require_prefect_home()
    for name, value in (DEFAULTS | instead).items():
        os.environ.setdefault(name, value)
    if os.environ.get("PREFECT_API_URL") == "":
        del os.environ["PREFECT_API_URL"]  # an empty URL breaks event emission; absent means: start an own server


def server_environment(address: str, *, only_records: bool) -> dict[str, str]:
    """Of a server that is to listen at `address`."""
    prepare()
    # The server does not tell its pages which port they were served from: without this they ask :4200.
    environment = os.environ | {"PREFECT_SERVER_UI_API_URL": f"{address}/api"} | (ONLY_RECORDS if only_records else {})
    return {name: value for name, value in environment.items() if name != "PREFECT_API_URL"}
