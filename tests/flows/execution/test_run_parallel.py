"""Walks beside each other: their commands say what the requests say, and one that fails ends the others."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_specs.errors import EngineError
from flows.execution import reproduce
from flows.execution import run_parallel as walk_together
from flows.runs import recipes
from flows.runs.request import Request
from support.command_line import ROOT, alive, all_gone


@pytest.mark.parametrize("name", reproduce.names())
def test_a_request_is_the_same_run_when_it_is_said_as_a_command(name: str) -> None:
    asked = reproduce.read_reproduction(name)
    for variant in asked.variants:
        request = reproduce._request(asked, variant, name, "/root", 1, {"encoder": {"steps": 7}})
        heard = recipes.resolve(request.recipe, recipes.knobs(request.recipe, recipes.spoken(request.knobs)))
        assert heard == request.resolved().spec


def test_cores_are_shared_out_unless_a_request_says_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[Request] = []

    def start(request: Request, log: Path) -> subprocess.Popen[bytes]:
        started.append(request)
        return subprocess.Popen(["true"])

    monkeypatch.setattr(walk_together, "_started", start)
    monkeypatch.setattr(walk_together.os, "cpu_count", lambda: 8)
    requests = [Request(name="a", root=str(tmp_path)), Request(name="b", knobs={"execution": {"threads": 3}})]
    walk_together.walk_together(requests, 2, quiet=True)
    assert [one.knobs["execution"] for one in started] == [{"threads": 4, "workers": 1}, {"threads": 3, "workers": 1}]


def test_a_killed_parent_takes_its_walks_along(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "python").chmod(0o755)
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom flows import walk_together\nfrom flows.runs.request import Request\n"
        f"sys.executable = {str(tmp_path / 'python')!r}\n"
        f"print(walk_together._started(Request(), Path({str(tmp_path / 'log')!r})).pid, flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert parent.stdout
    walking = int(parent.stdout.readline())
    assert alive(walking)
    parent.kill()
    parent.wait()
    assert all_gone([walking])


def test_a_walk_that_fails_says_why_and_stops_those_beside_it_and_none_is_begun(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(request: Request, log: Path) -> subprocess.Popen[bytes]:
        if request.name == "b":
            log.parent.mkdir(parents=True)
            log.write_text("first\nsynclr: planted\n")
        started.append(subprocess.Popen(["false"] if request.name == "b" else ["sleep", "100"]))
        return started[-1]

    monkeypatch.setattr(walk_together, "_started", start)
    began = time.monotonic()
    with pytest.raises(EngineError, match="the walk of b failed: synclr: planted; all of it: .*walk.log"):
        walk_together.walk_together([Request(name=name, root=str(tmp_path)) for name in "abc"], 2, quiet=True)
    assert time.monotonic() - began < 60
    assert len(started) == 2 and all(process.poll() is not None for process in started)
