"""Run several requests beside each other, each in a process of its own, as if its command had been given.

A small encoder does not fill two cores: of two threads it makes 1.2 times the steps of one (tiny recipe), of two processes twice.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from data_specs.errors import EngineError
from flows.runs.plan import run_log_folder
from flows.runs.recipes import format_overrides
from flows.runs.request import Request
from flows.server.kept_process import end_with_parent
from tasks.events import Advanced, Emit, Started, ignore
from tasks.processes import KILL_SECONDS, kill_group

POLL_SECONDS = 0.2
SECONDS_TO_STOP = 20.0
"""For all together: a command that is stopped ends within 15 by itself (flows/cli/stopping.py)."""


def run_parallel(requests: Sequence[Request], at_once: int, emit: Emit = ignore) -> None:
    """Returns when all have run. If one fails, or at Ctrl-C, the others are stopped; the same call goes on later.

    Cores are shared out, except where the requests' own `execution` says how. Raises EngineError with a failed run's last words.
    """
    share = {"threads": max(1, (os.cpu_count() or 1) // at_once), "workers": 1}
    waiting = [
        replace(one, settings=one.settings | {"execution": share | one.settings.get("execution", {})})
        for one in requests
    ]
    under_way: dict[subprocess.Popen[bytes], tuple[Request, Path]] = {}
    emit(Started("", "runs", "runs", len(waiting), 0))
    try:
        while waiting or under_way:
            while waiting and len(under_way) < at_once:
                request = waiting.pop(0)
                log = run_log_folder(request.run_root, request.run_name) / "output.log"
                under_way[_started(request, log)] = request, log
            time.sleep(POLL_SECONDS)
            for process in [one for one in under_way if one.poll() is not None]:
                request, log = under_way.pop(process)
                if process.returncode:
                    raise EngineError(f"run {request.run_name} failed: {_last_words(log)}; all of it: {log}")
                emit(Advanced("", "runs", 1, f"{request.run_name} done"))
    finally:
        _stop(list(under_way))


def _started(request: Request, log: Path) -> subprocess.Popen[bytes]:
    settings = [f"--set={text}" for text in format_overrides(request.settings)]
    command = ["run", request.recipe, "--since", request.since, "--until", request.until, *settings, "--json"]
    command += ["--name", request.name] if request.name else []
    command += ["--root", request.root] if request.root else []
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as printed:
        # A session of its own: Ctrl-C reaches it once, from here.
        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *command],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )


def _stop(under_way: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in under_way:
        process.send_signal(signal.SIGTERM)  # SIGINT is taken away from what a shell runs in its background
    until = time.monotonic() + SECONDS_TO_STOP
    for process in under_way:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            kill_group(process.pid)
            process.wait(KILL_SECONDS)


def _last_words(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"
