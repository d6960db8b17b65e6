"""Commands for a Prefect server that schedules, runs and shows runs."""

from typing import Annotated

import typer

from data_specs.specs.run import WORKSPACE
from flows.cli.options import AsJson, Root
from flows.cli.printing import print_line, print_result
from flows.cli.stopping import stopped_by_signals
from flows.server.settings import prepare

SECONDS_TO_STOP = 30.0
"""Of server and worker, one after the other: each is asked twice, and has 12 s (flows/server/kept_process.py)."""


def start_ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="port on 127.0.0.1")] = 4200,
    root: Root = WORKSPACE,
    site_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="port of our own pages [default: the next one, or any that is free]"),
    ] = None,
) -> None:
    """Start a Prefect server, a worker, our deployments and our own pages on this machine, until Ctrl-C.

    Open http://127.0.0.1:4200 to start, schedule, watch and retry runs; a run under way goes on at the next start. The pages at
    http://127.0.0.1:4201 show what runs made and where it comes from (`synclr site`). The server keeps its records in an SQLite
    file under PREFECT_HOME, or in PostgreSQL if PREFECT_API_DATABASE_CONNECTION_URL names one.

    Example: synclr ui --port 4300
    """
    from flows.server.operate import operate

    with stopped_by_signals(SECONDS_TO_STOP):
        operate(
            port, root, site_port
        )  # which prepares Prefect's settings by itself: its processes log more than a command does


def register_deployments(
    root: Root = WORKSPACE,
    pool: Annotated[
        str, typer.Option(help="work pool of the deployments; created (type process) if there is none of this name")
    ] = "synclr",
    slots: Annotated[
        int | None,
        typer.Option(
            min=1, help="stages with an engine that may work at a time, over all runs [default: as before, 1 at first]"
        ),
    ] = None,
    time_zone: Annotated[
        str | None,
        typer.Option(help="of the example schedules, such as Europe/Berlin; left out: this machine's, or that of TZ"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Register the whole run, and each stage on its own, as deployments of the Prefect server that PREFECT_API_URL names.

    Without PREFECT_API_URL it is the server of `synclr ui` on this machine. Registering again updates the deployments, and
    leaves their schedules as they are.

    Example: synclr deploy --pool gpu-workers --slots 2
    """
    prepare()
    from flows.server.api_check import require_api
    from flows.server.time_zones import checked_time_zone, local_time_zone

    zone = local_time_zone() if time_zone is None else checked_time_zone(time_zone)
    from flows.server.operate import reachable
    from flows.server.prefect_server import chosen

    if url := chosen():
        require_api(url)
    with reachable():
        from flows.by_stage import synclr_by_stage
        from flows.server.deployments import deploy
        from flows.synclr import synclr

        names = deploy(root, pool, slots, zone, run_flow=synclr, by_stage_flow=synclr_by_stage)
    described = "\n".join([*names, f"schedules, where they are new, count in the time zone {zone}"])
    print_result({"deployments": names, "pool": pool, "time_zone": zone}, as_json, lambda: print_line(described))


def watch_runs() -> None:
    """Look after the runs of the Prefect server that PREFECT_API_URL names, until Ctrl-C: crashed ones go on with what is sealed.

    `synclr ui` does so by itself; on another server, run this beside its workers.

    Example: synclr watch
    """
    prepare()
    from flows.server.operate import watch

    watch()
