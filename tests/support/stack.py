"""Server, worker and deployments as `synclr ui` brings them up, to be looked into."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from support.command_line import ROOT, CommandLine, free_port

Answer = TypeVar("Answer")
OPEN = ["RUNNING", "PENDING", "CANCELLING"]
START_SECONDS, STOP_SECONDS = 240, 120
RUN_SECONDS = 1200
"""Long for a machine that does other things; on two idle cores a run takes about one minute."""


@dataclass
class Stack:
    """The process of `synclr ui`, and what it started."""

    process: "subprocess.Popen[bytes]"
    address: str
    root: Path
    home: Path
    said: Path
    password: str | None
    seen: "Sockets" = field(init=False)

    def __post_init__(self) -> None:
        self.seen = Sockets(self)

    @property
    def command_line(self) -> CommandLine:
        """For what needs no server."""
        return CommandLine(self.root, self.home)

    def post(self, path: str, body: Any) -> Any:
        return self._answer("POST", path, json=body)

    def get(self, path: str) -> Any:
        return self._answer("GET", path)

    def _answer(self, verb: str, path: str, **said: Any) -> Any:
        auth = ("admin", self.password) if self.password else None
        answer = httpx.request(verb, f"{self.address}/api{path}", auth=auth, timeout=300, **said)
        assert answer.is_success, f"{answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def start_run(self, deployment: str, parameters: Mapping[str, Any]) -> str:
        """As the form does it, without the form."""
        found = self.get(f"/deployments/name/synclr/{deployment}")
        return self.post(f"/deployments/{found['id']}/create_flow_run", {"parameters": parameters})["id"]

    def run(self, run_id: str) -> dict[str, Any]:
        return self.get(f"/flow_runs/{run_id}")

    def runs(self, deployment: str) -> list[dict[str, Any]]:
        """Newest first."""
        named = {"deployments": {"name": {"any_": [deployment]}}, "sort": "EXPECTED_START_TIME_DESC"}
        return self.post("/flow_runs/filter", named)

    def wait_for_end(self, run_id: str, seconds: float = RUN_SECONDS) -> dict[str, Any]:
        """A crashed run is none that ended: it is put back."""
        final = ("COMPLETED", "FAILED", "CANCELLED")
        return wait_until(
            lambda: (run := self.run(run_id))["state_type"] in final and run, seconds, self.explain(run_id)
        )

    def open_runs(self) -> list[str]:
        """Flow and task runs that are shown as being worked on."""
        described = {"state": {"type": {"any_": OPEN}}}
        flows = self.post("/flow_runs/filter", {"flow_runs": described})
        tasks = self.post("/task_runs/filter", {"task_runs": described})
        return [f"{run['name']} {run['state_name']}" for run in [*flows, *tasks]]

    def states(self, run_id: str) -> list[str]:
        states = self.get(f"/flow_run_states/?flow_run_id={run_id}")
        return [
            f"{state['name']}: {state['message']}" for state in sorted(states, key=lambda state: state["timestamp"])
        ]

    def explain(self, run_id: str) -> Callable[[], str]:
        """For the message of a test that fails: the run's states, and the end of every log."""

        def told() -> str:
            logs = sorted([*(self.home / "synclr-logs").glob("*.log"), *self.root.glob("runs/*/logs/*.log")])
            ends = [f"--- {log}\n{log.read_text(errors='replace')[-1500:]}" for log in logs]
            return "\n".join([f"states: {self.states(run_id)}", *ends])

        return told

    @property
    def family(self) -> list[psutil.Process]:
        """`synclr ui` and all that works for it: a flow whose worker was killed has lost its parent."""
        found = {process.pid: process for process in psutil.Process(self.process.pid).children(recursive=True)}
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.pid not in found and process.environ().get("PREFECT_HOME") == str(self.home):
                    found[process.pid] = process
        return list(found.values())

    def process_of(self, *words: str) -> psutil.Process:
        for process in self.family:
            with suppress(psutil.Error):
                if set(words) <= set(process.cmdline()):
                    return process
        raise AssertionError(f"no process {words} among {[process.cmdline() for process in self.family]}")

    def flow_process(self, run_id: str) -> psutil.Process:
        """The process that owned up to the run (see `flows/server/recovery.py`)."""
        label = wait_until(lambda: self.run(run_id)["labels"].get("synclr.process"), RUN_SECONDS, self.explain(run_id))
        return psutil.Process(int(label.split(":")[-2]))

    def press_ctrl_c(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=STOP_SECONDS)


class Sockets:
    """Every address at which the family listens or to which it speaks, looked at once a second from a thread."""

    def __init__(self, stack: Stack) -> None:
        self.listening: set[str] = set()
        self.spoken_to: Counter[str] = Counter()
        self._stack, self._ended = stack, threading.Event()
        threading.Thread(target=self._keep_looking, daemon=True).start()

    def _keep_looking(self) -> None:
        while not self._ended.wait(1.0) and self._stack.process.poll() is None:
            with suppress(psutil.Error):
                for process in [psutil.Process(self._stack.process.pid), *self._stack.family]:
                    with suppress(psutil.Error):
                        self._look(process)

    def _look(self, process: psutil.Process) -> None:
        for connection in process.net_connections("inet"):
            if connection.raddr:
                self.spoken_to[connection.raddr.ip] += 1
            elif connection.status == psutil.CONN_LISTEN or connection.type == socket.SOCK_DGRAM:
                self.listening.add(connection.laddr.ip)

    def stop(self) -> None:
        self._ended.set()


@contextmanager
def standing(folder: Path, environment: Mapping[str, str], password: str | None = None) -> Iterator[Stack]:
    """`synclr ui` on a free port, with root and Prefect home below `folder`; ended with all its family."""
    root, home, said = folder / "root", folder / "prefect", folder / "said.txt"
    address = f"http://127.0.0.1:{free_port()}"
    own = {"SYNCLR_ROOT": str(root), "PREFECT_HOME": str(home), "PYTHONPATH": str(ROOT)}
    with said.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "ui", "--port", address.rsplit(":", 1)[1]],
            env=os.environ | own | environment,
            stdout=stream,
            stderr=stream,
        )
    stack = Stack(process, address, root, home, said, password)
    try:
        wait_until(lambda: "start a run:" in said.read_text(), START_SECONDS, said.read_text, while_runs=process)
        yield stack
    finally:
        stack.seen.stop()
        family = stack.family if process.poll() is None else []
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=STOP_SECONDS)
        process.kill()
        for left in family:
            with suppress(psutil.Error):
                left.kill()


def wait_until(
    found: Callable[[], Answer],
    seconds: float,
    explained: Callable[[], str],
    while_runs: "subprocess.Popen[bytes] | None" = None,
) -> Answer:
    """The first true answer; what `explained` says, if there is none in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not (while_runs and while_runs.poll() is not None):
        if answer := found():
            return answer
        time.sleep(0.5)
    raise AssertionError(f"not within {seconds:g} s: {explained()}")
