"""Runs beside each other: their commands say what the requests say, and one that fails ends the others."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_specs.errors import EngineError
from flows.launch import reproduce, run_parallel
from flows.runs import recipes
from flows.runs.request import Request
from support.command_line import ROOT, alive, all_gone


@pytest.mark.parametrize("name", reproduce.names())
def test_a_request_is_the_same_run_when_it_is_said_as_a_command(name: str) -> None:
    asked = reproduce.read_reproduction(name)
    for variant in asked.variants:
        request = reproduce._request(asked, variant, name, "/root", 1, {"encoder": {"steps": 7}})
        said = recipes.format_overrides(request.settings)
        heard = recipes.resolve_recipe(request.recipe, recipes.read_overrides(request.recipe, said))
        assert heard == recipes.resolve_recipe(request.recipe, request.settings)


def test_cores_are_shared_out_unless_a_request_says_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[Request] = []

    def start(request: Request, log: Path) -> subprocess.Popen[bytes]:
        started.append(request)
        return subprocess.Popen(["true"])

    monkeypatch.setattr(run_parallel, "_started", start)
    monkeypatch.setattr(run_parallel.os, "cpu_count", lambda: 8)
    requests = [Request(name="a", root=str(tmp_path)), Request(name="b", settings={"execution": {"threads": 3}})]
    run_parallel.run_parallel(requests, 2)
    assert [one.settings["execution"] for one in started] == [
        {"threads": 4, "workers": 1},
        {"threads": 3, "workers": 1},
    ]


def test_a_killed_parent_takes_its_runs_along(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "python").chmod(0o755)
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from flows.launch import run_parallel\nfrom flows.runs.request import Request\n"
        f"sys.executable = {str(tmp_path / 'python')!r}\n"
        f"print(run_parallel._started(Request(), Path({str(tmp_path / 'log')!r})).pid, flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert parent.stdout
    running = int(parent.stdout.readline())
    assert alive(running)
    parent.kill()
    parent.wait()
    assert all_gone([running])


def test_a_run_that_fails_says_why_and_stops_those_beside_it_and_none_is_begun(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(request: Request, log: Path) -> subprocess.Popen[bytes]:
        if request.name == "b":
            log.parent.mkdir(parents=True)
            log.write_text("first\nsynclr: planted\n")
        started.append(subprocess.Popen(["false"] if request.name == "b" else ["sleep", "100"]))
        return started[-1]

    monkeypatch.setattr(run_parallel, "_started", start)
    began = time.monotonic()
    with pytest.raises(EngineError, match="run b failed: synclr: planted; all of it: .*output.log"):
        run_parallel.run_parallel([Request(name=name, root=str(tmp_path)) for name in "abc"], 2)
    assert time.monotonic() - began < 60
    assert len(started) == 2 and all(process.poll() is not None for process in started)
