"""Start a Prefect server on loopback that ends with its block or its process; find one that stands."""

import os
import re
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_specs.errors import EngineError, SpecError
from flows.server.api_check import require_one_password
from flows.server.kept_process import KeptProcess
from flows.server.settings import prepare, server_environment

HOST = "127.0.0.1"
START_SECONDS = 180
DATABASE = "PREFECT_API_DATABASE_CONNECTION_URL"
REASON = re.compile(r"[\w.]*(Error|Exception|Refused)\w*\b.*: \S|Can't |.*[Aa]ddress already in use")
"""The line of a log that says why something ended."""
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks without a proxy, whatever the environment says."""


class PrefectServer(KeptProcess):
    """A server that shows the runs of this machine, past ones too (they share `PREFECT_HOME`).

    Prefect can start a server by itself, but that one dies at the first Ctrl-C, before the run's end can be written
    down, and outlives a process that is killed.
    """

    def __init__(self, port: int | None = None, log: Path | None = None, *, only_records: bool = False) -> None:
        """Raises SpecError if the port is taken, or server and clients are given other passwords."""
        self.address = f"http://{HOST}:{port or free_port()}"
        if port and taken(port):
            raise SpecError(f"something listens at {self.address} already; choose another with --port")
        words = ["server", "start", "--host", HOST, "--port", self.address.rsplit(":", 1)[1]]
        environment = server_environment(self.address, only_records=only_records)
        require_one_password()
        command = [sys.executable, "-m", "flows.server.serve", *words]
        super().__init__("Prefect server", command, environment, log or Path(os.devnull))

    def start(self) -> None:
        """Returns when it answers. Raises EngineError if nothing comes up."""
        before = self.log.stat().st_size if self.log.is_file() else 0
        super().start()
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.code is not None and self.code > 0:
                why = _said(self.log, before) if self.log.is_file() else ""
                raise EngineError(f"the {self.name} ended with code {self.code} before it answered{why}")
            if self.code is not None:  # somebody ended it
                super().start()
            if _answers(f"{self.address}/api/health"):
                return
            time.sleep(0.25)
        raise EngineError(f"the {self.name} did not answer at {self.address} within {START_SECONDS} s; see {self.log}")


@contextmanager
def running(port: int | None = None, log: Path | None = None, *, only_records: bool = False) -> Iterator[str]:
    """The address of a server for the time of the block. Raises as `PrefectServer` does."""
    server = PrefectServer(port, log, only_records=only_records)
    try:
        server.start()
        yield server.address
    finally:
        server.stop()


def standing() -> str | None:
    """The address of the server that `synclr ui` runs on this machine for this user, if it answers."""
    try:
        address = _note().read_text().strip()
    except OSError:
        return None
    return address if _answers(f"{address}/api/health") else None


def chosen() -> str | None:
    """The API of the server that the user has configured (PREFECT_API_URL or a profile), else of the one of `synclr ui`."""
    prepare()
    from prefect.settings import PREFECT_API_URL

    url: str | None = PREFECT_API_URL.value()
    if url is None and (address := standing()):
        url = f"{address}/api"
    return url


@contextmanager
def known(address: str) -> Iterator[None]:
    """Runs that start on this machine meanwhile report to `address`."""
    _note().parent.mkdir(parents=True, exist_ok=True)
    _note().write_text(address)
    try:
        yield
    finally:
        _note().unlink(missing_ok=True)


def _note() -> Path:
    from prefect.settings import PREFECT_HOME

    return Path(PREFECT_HOME.value()) / "synclr-server"


def free_port() -> int:
    with socket.socket() as free:
        free.bind((HOST, 0))
        return int(free.getsockname()[1])


def taken(port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _said(log: Path, before: int) -> str:
    """What the server wrote to its log since as the reason of its end, and the way out where it is known."""
    with log.open("rb") as stream:
        stream.seek(before)
        lines = [line.strip() for line in stream.read().decode("utf-8", "replace").splitlines() if line.strip()]
    reasons = [line for line in lines if REASON.match(line)] or lines[-1:]
    why = f": {reasons[-1][:300]}" if reasons else ""
    if any("Can't locate revision" in line for line in lines):
        why += "; its database was made by another version of Prefect: use that one, or name another folder by PREFECT_HOME"
    elif os.environ.get(DATABASE) and "onnect" in why:
        why += f" (its database is the one that {DATABASE} names)"
    return f"{why}; all of it: {log}"


def _answers(url: str) -> bool:
    try:
        with DIRECT.open(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
