"""The server that `synclr ui` starts answers on loopback alone, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from support.command_line import free_port

ROOT = Path(__file__).parents[3]


@pytest.mark.long(40)
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_the_ui_answers_on_loopback_alone_and_is_gone_after(tmp_path, sent):
    port = free_port()
    environment = os.environ | {
        "PREFECT_HOME": str(tmp_path),
        "SYNCLR_ROOT": str(tmp_path / "root"),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "flows.cli", "ui", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert any(f"http://127.0.0.1:{port}" in line for line in iter(process.stdout.readline, ""))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=60) as answer:
            assert answer.status == 200
        pages = process.stdout.readline().split()[-1]
        assert pages.startswith("http://127.0.0.1:") and not pages.endswith(f":{port}")
        assert httpx.HTTPTransport(retries=8).handle_request(httpx.Request("GET", pages)).status_code == 200
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


@pytest.mark.slow(15)
def test_prefects_newer_pages_are_neither_served_nor_offered(prefect_server):
    said = httpx.get(f"{prefect_server}/ui-settings").raise_for_status().json()
    assert said["available_uis"] == ["v1"] and said["v2_base_url"] is None, said


@pytest.mark.slow(15)
def test_a_browser_may_ask_no_other_host_for_images(prefect_server):
    """Prefect's page for a new work pool shows logos from an outside host."""
    page = httpx.get(f"{prefect_server}/work-pools/create").raise_for_status()
    assert "<html" in page.text and page.headers["content-security-policy"] == "img-src 'self' data: blob:"


@pytest.mark.slow(30)
def test_many_who_write_at_once_are_all_answered(prefect_server, server_log):
    """What a page would show as "Oops": an answer that is no success. Prefect's own client would ask again, and hide it."""
    with httpx.Client(base_url=f"{prefect_server}/api", timeout=300) as api:
        flow = api.post("/flows/", json={"name": "synclr"}).json()["id"]

        def click(number):
            run = api.post("/flow_runs/", json={"flow_id": flow, "state": {"type": "SCHEDULED"}})
            path = f"/flow_runs/{run.json()['id']}"
            answers = [api.post(f"{path}/set_state", json={"state": {"type": kind}}) for kind in ("PENDING", "RUNNING")]
            answers.append(api.patch(path, json={"name": f"run {number}"}))
            answers.append(api.patch(f"{path}/labels", json={"try": number}))
            answers.append(api.post("/variables/", json={"name": f"slot-{number}", "value": number}))
            answers.append(api.delete(f"/variables/name/slot-{number}"))
            return [answer.status_code for answer in (run, *answers)]

        def change_an_automation():
            """As `synclr ui` does at each start: the server reads it again before it does anything else."""
            trigger = {"type": "event", "expect": ["x"], "posture": "Reactive", "threshold": 1, "within": 0}
            body = {"name": "of a test", "trigger": trigger, "actions": [{"type": "do-nothing"}]}
            made = api.post("/automations/", json=body)
            answers = [api.put(f"/automations/{made.json()['id']}", json=body) for _ in range(20)]
            return [answer.status_code for answer in (made, *answers)]

        with ThreadPoolExecutor(8) as clicking:
            changed = clicking.submit(change_an_automation)
            codes = Counter(code for answered in clicking.map(click, range(60)) for code in answered)
            codes.update(changed.result())
    assert all(code < 300 for code in codes), codes
    assert "database is locked" not in server_log.read_text(errors="replace")
