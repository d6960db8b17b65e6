"""A port enters; a Prefect server on loopback runs until Ctrl-C, and shows the walks made on this machine."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

from data_specs.errors import EngineError, SpecError
from flows import prefect_environment

HOST = "127.0.0.1"
START_SECONDS = 180


def serve(port: int) -> None:
    """Blocks. Raises SpecError if the port is taken, EngineError if the server does not come up."""
    address = f"http://{HOST}:{port}"
    if _answers(address):
        raise SpecError(f"something answers at {address} already; choose another with --port")
    prefect_environment.prepare()
    # The server does not tell its pages which port they were served from: without this they ask :4200.
    environment = os.environ | {"PREFECT_SERVER_UI_API_URL": f"{address}/api"}
    environment.pop("PREFECT_API_URL", None)
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]
    # Its own session, so that Ctrl-C reaches it once, through us, and not once more from the terminal.
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    previous = signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    try:
        _await(server, address)
        print(f"Prefect UI: {address}  (Ctrl-C stops it)", flush=True)
        print(f"Walks report to it with PREFECT_API_URL={address}/api", flush=True)
        server.wait()
    except KeyboardInterrupt:
        print("stopping", flush=True)
    finally:
        signal.signal(signal.SIGTERM, previous)
        _stop(server)


def _await(server: "subprocess.Popen[bytes]", address: str) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            raise EngineError(f"the Prefect server ended with code {server.returncode} before it answered")
        if _answers(f"{address}/api/health"):
            return
        time.sleep(0.5)
    raise EngineError(f"the Prefect server did not answer at {address} within {START_SECONDS} s")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _stop(server: "subprocess.Popen[bytes]") -> None:
    """The whole group: the server starts processes of its own, and nothing may be left behind."""
    for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if server.poll() is not None:
            return
        os.killpg(server.pid, sent)
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            continue
