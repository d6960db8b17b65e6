"""The server that `synclr ui` starts answers on loopback alone, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.command_line import free_port, hear_ctrl_c

ROOT = Path(__file__).parents[3]


@pytest.mark.slow(30)
@pytest.mark.parametrize("sent", [pytest.param(signal.SIGINT, marks=pytest.mark.long(30)), signal.SIGKILL])
def test_the_ui_answers_on_loopback_alone_and_is_gone_after(tmp_path, sent):
    port = free_port()
    environment = os.environ | {
        "PREFECT_HOME": str(tmp_path),
        "SYNCLR_ROOT": str(tmp_path / "root"),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "flows.cli", "ui", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c)
    try:
        assert any(f"http://127.0.0.1:{port}" in line for line in iter(process.stdout.readline, ""))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=60) as answer:
            assert answer.status == 200
        family = psutil.Process(process.pid).children(recursive=True)
        connections: list[Any] = []
        for member in [psutil.Process(process.pid), *family]:
            with suppress(psutil.NoSuchProcess):
                connections += member.net_connections()
        listening = {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}
        process.send_signal(sent)
        process.wait(timeout=60)
        if sent is signal.SIGINT:
            assert process.returncode == 0
        gone, alive = psutil.wait_procs(family, timeout=90)
        assert not alive
    finally:
        process.kill()


def test_a_port_that_is_taken_is_refused_in_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = os.environ | {"PREFECT_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "flows.cli", "ui", "--port", str(port)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 2 and str(port) in done.stderr and "Traceback" not in done.stderr
