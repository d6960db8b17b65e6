"""Run a Prefect server, a worker, our deployments and our own pages on loopback until Ctrl-C: what `synclr ui` does."""

import contextvars
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from data_specs.errors import EngineError, SpecError
from flows.runs.own_pages import SITE
from flows.server.kept_process import KeptProcess
from flows.server.prefect_server import PrefectServer, chosen, known
from flows.server.settings import prepare
from flows.server.site_process import SiteProcess
from tasks import storage

POOL = "synclr"
LOOK_SECONDS = 3


def operate(port: int, root: str, site_port: int | None = None) -> None:
    """Blocks until Ctrl-C or SIGTERM, then ends what it started; a run under way goes on at the next start.

    `site_port` is that of our own pages; None: the one after `port`. Raises SpecError for a port that is taken.
    """
    stopping = threading.Event()

    def answer(_number: int, _frame: object) -> None:
        # Both: an exception can be swallowed where it is raised (in the middle of an import, seen), a flag can be seen late.
        stopping.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, answer)
    signal.signal(signal.SIGINT, answer)
    # Server and worker write to files of their own: there a warning (a schedule that cannot be inserted, say) is wanted.
    prepare(PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL="WARNING")
    root = storage.absolute(root)
    storage.require_writable(root)
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

    logs = Path(PREFECT_HOME.value()) / "synclr-logs"
    logs.mkdir(parents=True, exist_ok=True)
    server = PrefectServer(port, logs / "server.log")
    site = SiteProcess(root, server, site_port, logs / "site.log")
    with suppress(KeyboardInterrupt), _started(server) as address, known(address):
        # For the children, and for what this process asks itself: Prefect has read its settings already.
        os.environ |= {"PREFECT_API_URL": f"{address}/api", SITE: site.address}
        with temporary_settings({PREFECT_API_URL: f"{address}/api"}):
            _keep(server, site, root, logs, stopping)
    print("stopped", flush=True)


def watch() -> None:
    """Look after the runs of the server that is configured until Ctrl-C or SIGTERM, as `synclr ui` does on its own server."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with reachable(), suppress(KeyboardInterrupt):
        print("looking after runs (Ctrl-C stops it)", flush=True)
        _look_after(threading.Event())
    print("stopped", flush=True)


@contextmanager
def reachable() -> Iterator[None]:
    """For the block, PREFECT_API_URL names the server that is configured, or the one of `synclr ui`. Raises SpecError."""
    url = chosen()
    if url is None:
        raise SpecError(
            "no Prefect server is known: set PREFECT_API_URL=http://host:4200/api, or start one with `synclr ui`"
        )
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: url}):
        yield


@contextmanager
def _started(server: PrefectServer) -> Iterator[str]:
    try:
        server.start()
        yield server.address
    finally:
        server.stop()


def _worker(root: str, log: Path) -> KeptProcess:
    from flows.server.recovery import WORKER

    command = [
        sys.executable,
        "-m",
        "flows.server.work",
        "worker",
        "start",
        "--pool",
        POOL,
        "--type",
        "process",
        "--name",
        WORKER,
    ]
    # Prefect's 10 s between its looks for runs is what a person waits after Submit.
    return KeptProcess(
        "worker", command, {"PREFECT_WORKER_QUERY_SECONDS": "3"} | os.environ | {"SYNCLR_ROOT": root}, log
    )


def _keep(server: PrefectServer, site: SiteProcess, root: str, logs: Path, stopping: threading.Event) -> None:
    """Start server, worker and site again whenever they end, and look after the runs whose processes ended with them."""
    # In a thread, since a request waits for a server that is gone; with Prefect's settings as they are here.
    looking = contextvars.copy_context()
    threading.Thread(target=looking.run, args=(_look_after, stopping), daemon=True).start()
    worker = _worker(root, logs / "worker.log")
    try:
        worker.start()  # what was under way goes on while the deployments are registered
        print("registering the deployments ...", flush=True)
        _deploy(server, root, logs / "deploy.log")
        site.start()
        print(f"Prefect UI: {server.address}  (Ctrl-C stops it; a run under way goes on at the next start)", flush=True)
        print(f"runs, images and where they come from: {site.address}", flush=True)
        print(f"start a run: {server.address}/deployments, outputs under {root}, logs under {logs}", flush=True)
        kept: list[KeptProcess] = [server, worker, site]
        while not stopping.wait(0.5):
            for process in [each for each in kept if each.code is not None]:
                print(f"the {process.name} ended with code {process.code}; starting another", flush=True)
                try:
                    process.start()
                except EngineError as error:
                    if process is not site:
                        raise
                    kept.remove(site)  # runs go on without pages to look at
                    print(f"{error}; going on without it", flush=True)
    finally:
        stopping.set()
        site.stop()
        worker.stop()


def _look_after(stopping: threading.Event) -> None:
    from flows.server.recovery import recover

    while not stopping.is_set():
        recover()
        stopping.wait(LOOK_SECONDS)


def _deploy(server: PrefectServer, root: str, log: Path) -> None:
    """Again if the server ended meanwhile."""
    command = [sys.executable, "-m", "flows.cli", "deploy", "--pool", POOL, "--root", root]
    while True:
        with log.open("ab") as output:
            done = subprocess.run(command, stdout=output, stderr=output)
        if done.returncode and server.code is None:
            raise EngineError(f"synclr deploy failed with code {done.returncode}; see {log}")
        if done.returncode == 0:
            return
        server.start()
