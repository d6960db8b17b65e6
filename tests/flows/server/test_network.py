"""What a machine says to itself goes through no proxy, whatever its environment names, and no password is shown."""

import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from flows.server.network import NOWHERE, PROXIES, reach_loopback
from flows.server.prefect_server import _answers

ROOT = Path(__file__).parents[3]
SECRET = "not-to-be-seen"
WHEREVER = ("SSL_CERT_FILE", "SSLKEYLOGFILE", "PREFECT_API_SSL_CERT_FILE", "NO_PROXY", "no_proxy")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.lower() in PROXIES or name in WHEREVER:
            monkeypatch.delenv(name)
    for name in (*WHEREVER, *PROXIES, *map(str.upper, PROXIES)):  # what the code sets is taken back after the test
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    here = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=here.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{here.server_port}/api/health"
    here.shutdown()
    here.server_close()


@pytest.mark.parametrize(
    "environment",
    [
        {"HTTP_PROXY": NOWHERE},
        {"http_proxy": NOWHERE, "NO_PROXY": "127.0.0.1", "no_proxy": ".corp"},
        {"ALL_PROXY": NOWHERE, "NO_PROXY": "10.0.0.0/8,fe80::/10,[::1]"},
        {"ALL_PROXY": f"socks5://me:{SECRET}@127.0.0.1:9"},
        {"HTTP_PROXY": f"socks4://me:{SECRET}@127.0.0.1:9"},
        {"https_proxy": f"http://me:{SECRET}@proxy:port"},
        {"SSL_CERT_FILE": "/nowhere/ca.pem"},
        {"SSL_CERT_FILE": __file__},
        {"PREFECT_API_SSL_CERT_FILE": "/nowhere/ca.pem"},
        {"SSLKEYLOGFILE": "/nowhere/keys"},
    ],
    ids=lambda given: " ".join(given),
)
def test_loopback_is_reached_whatever_the_environment_names(environment, server, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert _answers(server)
    told = reach_loopback()
    assert SECRET not in " ".join(told) and all("\n" not in line for line in told)
    # As Prefect makes its clients (prefect/client/orchestration), and at its import (prefect/blocks/webhook).
    file = os.environ.get("PREFECT_API_SSL_CERT_FILE") or os.environ.get("SSL_CERT_FILE")
    httpx.HTTPTransport().close()
    with httpx.Client(verify=ssl.create_default_context(cafile=file)) as client:
        assert client.get(server).status_code == 200
    assert reach_loopback() == [], "the environment is put right once"


def test_a_proxy_that_works_is_kept_for_all_that_is_elsewhere(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", ".example")
    assert reach_loopback() == []
    assert os.environ["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == ".example,127.0.0.1,localhost,::1,0.0.0.0"


def test_who_named_a_proxy_that_cannot_be_used_goes_nowhere_past_it(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "socks4://127.0.0.1:1080")
    (told,) = reach_loopback()
    assert told.startswith("HTTPS_PROXY=socks4://127.0.0.1:1080 is no proxy that can be used")
    assert os.environ["HTTPS_PROXY"] == NOWHERE


@pytest.mark.parametrize("environment", [{}, {"HTTP_PROXY": "http://proxy:1", "NO_PROXY": "*"}])
def test_where_no_proxy_is_asked_nothing_changes(environment, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    assert reach_loopback() == [] and dict(os.environ) == before


@pytest.mark.long(20)
@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", NOWHERE])
def test_a_run_is_made_beside_its_own_server_with_a_proxy_that_leads_nowhere(proxy, tmp_path):
    environment = os.environ | {
        "HTTP_PROXY": proxy,
        "ALL_PROXY": proxy,
        "SSL_CERT_FILE": "/nowhere/ca.pem",
        "PREFECT_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "flows.cli", "run", "tiny", "--root", str(tmp_path / "root")]
    done = subprocess.run(
        [*command, "--until", "concepts"], env=environment, capture_output=True, text=True, timeout=170
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
