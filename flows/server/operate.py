"""Run a Prefect server, a worker and our deployments on loopback until Ctrl-C: what `synclr ui` does."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from data_specs.errors import EngineError, SpecError
from flows.server.prefect_server import chosen, end_with_parent, known, running, stop
from flows.server.settings import prepare
from tasks import storage

POOL = "synclr"
LOOK_SECONDS = 15
SHORT_LIVED_SECONDS = 20


def operate(port: int, root: str) -> None:
    """Blocks until Ctrl-C or SIGTERM, then ends what it started; a run under way goes on at the next start."""
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
    with suppress(KeyboardInterrupt), running(port, logs / "server.log") as address, known(address):
        # For the children, and for what this process asks itself: Prefect has read its settings already.
        os.environ["PREFECT_API_URL"] = f"{address}/api"
        with temporary_settings({PREFECT_API_URL: f"{address}/api"}):
            print("registering the deployments ...", flush=True)
            _run("deploy", "--pool", POOL, "--root", root, log=logs / "deploy.log")
            print(f"Prefect UI: {address}  (Ctrl-C stops it; a run under way goes on at the next start)", flush=True)
            print(f"start a run: {address}/deployments, outputs under {root}, logs under {logs}", flush=True)
            _keep_worker(root, logs / "worker.log", stopping)
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


def _keep_worker(root: str, log: Path, stopping: threading.Event) -> None:
    """Keep one worker running: restart it if it vanishes, and mark what vanished with it so that it goes on."""
    from flows.server.recovery import recover

    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--name", "synclr-ui"]
    while not stopping.is_set():
        began = time.monotonic()
        with log.open("ab") as output:
            worker = subprocess.Popen(
                command,
                env=os.environ | {"SYNCLR_ROOT": root},
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        try:
            last_look = -math.inf
            while worker.poll() is None and not stopping.is_set():
                if time.monotonic() - last_look > LOOK_SECONDS:
                    recover()
                    last_look = time.monotonic()
                with suppress(subprocess.TimeoutExpired):
                    worker.wait(timeout=1)
        finally:
            stop(worker)
        if stopping.is_set():
            return
        if time.monotonic() - began < SHORT_LIVED_SECONDS:
            raise EngineError(f"the worker ended at once with code {worker.returncode}; see {log}")
        print(f"the worker ended with code {worker.returncode}; starting another", flush=True)


def _run(*words: str, log: Path) -> None:
    with log.open("ab") as output:
        done = subprocess.run([sys.executable, "-m", "flows.cli", *words], stdout=output, stderr=output)
    if done.returncode:
        raise EngineError(f"synclr {words[0]} failed with code {done.returncode}; see {log}")
