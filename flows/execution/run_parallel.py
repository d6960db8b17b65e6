"""Requests enter; so many at once are walked, each by a process of its own, as if its command had been given.

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
from flows.cli.progress_display import shown
from flows.runs.folder import log_folder
from flows.runs.recipes import spoken
from flows.runs.request import Request
from flows.server.prefect_server import end_with_parent
from tasks.events import Advanced, Started, tell

POLL_SECONDS = 0.2
SECONDS_TO_STOP = 60.0


def walk_together(requests: Sequence[Request], at_once: int, *, quiet: bool) -> None:
    """Returns when all are walked. If one fails, or at Ctrl-C, the others are stopped; the same call goes on later.

    Cores are shared out, except where the requests' own `execution` says how. Raises EngineError with a failed walk's last words.
    """
    share = {"threads": max(1, (os.cpu_count() or 1) // at_once), "workers": 1}
    waiting = [
        replace(one, knobs=one.knobs | {"execution": share | one.knobs.get("execution", {})}) for one in requests
    ]
    walking: dict[subprocess.Popen[bytes], tuple[Request, Path]] = {}
    with shown(quiet):
        tell(Started("walks", "walks", len(waiting), 0))
        try:
            while waiting or walking:
                while waiting and len(walking) < at_once:
                    request = waiting.pop(0)
                    log = log_folder(request.resolved()) / "walk.log"
                    walking[_started(request, log)] = request, log
                time.sleep(POLL_SECONDS)
                for process in [one for one in walking if one.poll() is not None]:
                    request, log = walking.pop(process)
                    if process.returncode:
                        raise EngineError(f"the walk of {request.name} failed: {_last_words(log)}; all of it: {log}")
                    tell(Advanced("walks", 1, f"{request.name} walked"))
        finally:
            _stop(list(walking))


def _started(request: Request, log: Path) -> subprocess.Popen[bytes]:
    knobs = [f"--set={said}" for said in spoken(request.knobs)]
    command = ["run", request.recipe, "--since", request.since, "--until", request.until, *knobs, "--json"]
    command += ["--name", request.name] if request.name else []
    command += ["--root", request.root] if request.root else []
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as printed:
        # A session of its own: Ctrl-C reaches it once, from here.
        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli.app", *command],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )


def _stop(walking: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in walking:
        process.send_signal(signal.SIGINT)
    for process in walking:
        try:
            process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()


def _last_words(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"
