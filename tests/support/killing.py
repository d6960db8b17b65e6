"""`synclr ui` as it is killed, in whole or in parts, and started again on the same port, root and records."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from support.command_line import ROOT, free_port

Answer = TypeVar("Answer")
OPEN = ["RUNNING", "PENDING", "CANCELLING"]


@dataclass
class Killable:
    """`folder` holds its root and its Prefect home."""

    folder: Path
    environment: Mapping[str, str]
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def home(self) -> Path:
        return self.folder / "prefect"

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def own_environment(self) -> dict[str, str]:
        told = {
            "SYNCLR_ROOT": str(self.folder / "root"),
            "PREFECT_HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            # What Prefect hides of "database is locked", it is to write down.
            "PREFECT_SERVER_LOG_RETRYABLE_ERRORS": "true",
        }
        return os.environ | told | dict(self.environment)

    def start(self) -> None:
        """Start again what is not there; returns at once."""
        if self.process is None or self.process.poll() is not None:
            self.process = self.begin("ui", "flows.cli", "ui", "--port", str(self.port))

    def begin(self, log: str, module: str, *words: str, **environment: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{log}.txt").open("ab") as said:
            return subprocess.Popen(
                [sys.executable, "-m", module, *words],
                env=self.own_environment | environment,
                stdout=said,
                stderr=said,
            )

    def press_ctrl_c(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=120)

    def stop(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            if self.process and self.process.poll() is None:
                self.press_ctrl_c()
        for left in self.family():
            with suppress(psutil.Error):
                left.kill()

    def family(self) -> list[psutil.Process]:
        """All processes that work for it, orphans too."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("PREFECT_HOME") == str(self.home):
                    found.append(process)
        return found

    def kill(self, victim: str) -> None:
        """SIGKILL to `ui`, `server`, `worker`, `run`, `engine`, several of them joined by +, or `all`; or `ctrl-c`."""
        if victim == "ctrl-c":
            self.press_ctrl_c()
            return
        chosen: list[psutil.Process] = []
        for process in self.family():
            with suppress(psutil.Error):
                if victim == "all" or _part(process) in victim.split("+"):
                    chosen.append(process)
        for process in chosen:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(chosen, timeout=60)

    def post(self, path: str, body: Any) -> Any:
        """As a page would: an answer that it would show as an error is one here."""
        answer = self._asked(path, body)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def _asked(self, path: str, body: Any) -> httpx.Response:
        return httpx.post(f"{self.api}{path}", json=body, timeout=60)

    def get(self, path: str) -> Any:
        answer = httpx.get(f"{self.api}{path}", timeout=60)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def start_run(self, deployment: str, parameters: Mapping[str, Any], name: str | None = None) -> str:
        found = self.get(f"/deployments/name/synclr/{deployment}")
        body = {"parameters": parameters} | ({"name": name} if name else {})
        return str(self.post(f"/deployments/{found['id']}/create_flow_run", body)["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/flow_runs/{run_id}")
        return found

    def is_at_work(self, run: Mapping[str, Any]) -> bool:
        """Whether a process works on it in its present try, or it has completed."""
        labels = run["labels"]
        working = run["state_type"] == "RUNNING" and labels.get("synclr.try") == run["run_count"]
        pid = int(labels["synclr.process"].split(":")[-2]) if working else 0
        return run["state_type"] == "COMPLETED" or (working and psutil.pid_exists(pid))

    def open_runs(self) -> list[str]:
        described = {"state": {"type": {"any_": OPEN}}}
        flows = self.post("/flow_runs/filter", {"flow_runs": described})
        tasks = self.post("/task_runs/filter", {"task_runs": described})
        return [f"{run['name']} {run['state_name']}" for run in [*flows, *tasks]]

    def slots_taken(self) -> list[Any]:
        found = self.post("/variables/filter", {"variables": {"name": {"like_": "synclr-engine-slot-"}}})
        return [variable["value"] for variable in found]

    def explain(self, *run_ids: str) -> str:
        """For the message of a test that fails: the states of runs, and the end of every log."""
        told = []
        for run_id in run_ids:
            with suppress(Exception):
                states = self.get(f"/flow_run_states/?flow_run_id={run_id}")
                listed = sorted((state["timestamp"], state["name"], state["message"]) for state in states)
                told.append(f"{run_id}: " + "\n  ".join(map(str, listed)))
        logs = sorted([*self.folder.glob("*.txt"), *(self.home / "synclr-logs").glob("*.log")])
        return "\n".join(told + [f"--- {log}\n{log.read_text(errors='replace')[-2500:]}" for log in logs])


@dataclass
class Separate(Killable):
    """Server, worker and watch as an operator of a cluster starts them, on a server that is none of ours."""

    parts: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    def start(self) -> None:
        known = {"PREFECT_API_URL": self.api}
        where = ("--host", "127.0.0.1", "--port", str(self.port))
        commands: dict[str, tuple[str, ...]] = {
            "server": ("prefect", "server", "start", *where),
            "worker": ("prefect", "worker", "start", "--pool", "synclr", "--type", "process"),
            "watch": ("flows.cli", "watch"),
        }
        for part, (module, *words) in commands.items():
            if part not in self.parts or self.parts[part].poll() is not None:
                self.parts[part] = self.begin(part, module, *words, **({} if part == "server" else known))
                if part == "server":
                    within(120, lambda: httpx.get(f"{self.api}/health").is_success, self.explain)

    def _asked(self, path: str, body: Any) -> httpx.Response:
        """As Prefect's client would, which asks again where the answer is 503: this server's database locks, ours does not."""
        for _ in range(4):
            answer = super()._asked(path, body)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return answer
            time.sleep(2)
        return super()._asked(path, body)

    def deploy(self) -> None:
        assert self.begin("deploy", "flows.cli", "deploy", PREFECT_API_URL=self.api).wait(timeout=120) == 0


def _part(process: psutil.Process) -> str:
    words = process.cmdline()
    for part, marks in {
        "ui": ("flows.cli", "ui"),
        "server": ("server", "start"),
        "worker": ("worker", "start"),
        "watch": ("flows.cli", "watch"),
        "run": ("prefect.engine",),
    }.items():
        if set(marks) <= set(words):
            return part
    return "engine" if any("spawn_main" in word for word in words) else ""


def within(
    seconds: float, found: Callable[[], Answer], explained: Callable[[], str], steady: float = 0.0
) -> tuple[Answer, float]:
    """The first answer that stays true for `steady` seconds, and after how many seconds it first was.

    A server that does not answer yet is waited for.
    """
    began, true_since = time.monotonic(), None
    while time.monotonic() - began < seconds:
        answer = None
        with suppress(httpx.TransportError):
            answer = found()
        true_since = (true_since or time.monotonic()) if answer else None
        if answer and true_since and time.monotonic() - true_since >= steady:
            return answer, true_since - began
        time.sleep(0.25)
    raise AssertionError(f"not within {seconds:g} s: {explained()}")
