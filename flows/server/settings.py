"""Settings that Prefect reads when it is imported; import this first. What the user has set wins."""

import os

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


def prepare() -> None:
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    if os.environ.get("PREFECT_API_URL") == "":
        del os.environ["PREFECT_API_URL"]  # an empty URL breaks event emission; absent means: start an own server
