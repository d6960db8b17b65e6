"""A server that is configured and cannot be worked with is one line that says what, where, and the way out."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_SERVER_API_AUTH_STRING, temporary_settings

from data_specs.errors import EngineError, SpecError
from flows.server import kept_process
from flows.server.api_check import require_api, require_one_password
from flows.server.prefect_server import running
from support.command_line import free_port

SECRET = "not-to-be-seen"


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_server_that_answers_as_prefect_does_passes():
    with answering(200, json.dumps("3.7.7")) as address:
        require_api(f"{address}/api")


@pytest.mark.parametrize(
    ("status", "body", "given", "said"),
    [
        (401, "{}", None, "asks for a password and none is given: set PREFECT_API_AUTH_STRING=user:password"),
        (401, "{}", f"me:{SECRET}", "asks for a password and refuses the one in PREFECT_API_AUTH_STRING"),
        (200, "<html>Prefect</html>", None, "is no Prefect API: such addresses end in /api"),
        (404, "{}", None, "has no API there .404.: such addresses end in /api"),
        (503, "{}", None, "fails with 503: look into its log"),
    ],
)
def test_a_server_that_does_not_let_us_in_is_one_line(status, body, given, said):
    given_here = temporary_settings({PREFECT_API_AUTH_STRING: given})
    with answering(status, body) as address, given_here, pytest.raises(SpecError, match=said) as refused:
        require_api(address)
    assert address in str(refused.value)
    assert "\n" not in str(refused.value) and SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://me:{secret}@127.0.0.1:{port}/api",
        "http://me:a@{secret}@127.0.0.1:{port}/api",
        "http://127.0.0.1:{port}/api",
        "127.0.0.1:{port}/api",
    ],
)
def test_where_nothing_answers_it_is_said_at_once(url):
    with pytest.raises(SpecError, match="nothing answers at .*PREFECT_API_URL|is no Prefect API") as refused:
        require_api(url.format(port=free_port(), secret=SECRET))
    assert "\n" not in str(refused.value) and SECRET not in str(refused.value)


def test_a_server_is_not_started_with_a_password_that_its_own_runs_do_not_know(tmp_path):
    with temporary_settings({PREFECT_SERVER_API_AUTH_STRING: f"me:{SECRET}", PREFECT_API_AUTH_STRING: None}):
        with pytest.raises(SpecError, match="set both alike") as refused, running(log=tmp_path / "log"):
            pytest.fail("it was started")
        assert SECRET not in str(refused.value)
    with temporary_settings({PREFECT_SERVER_API_AUTH_STRING: "me:one", PREFECT_API_AUTH_STRING: "me:one"}):
        require_one_password()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "Traceback (most recent call last):\n  File x\n"
            "alembic.util.exc.CommandError: Can't locate revision identified by 'ab'\n"
            "\nERROR:    Application startup failed. Exiting.",
            "Can't locate revision identified by 'ab'; its database was made by another version of Prefect: use that one, or",
        ),
        (
            "ConnectionRefusedError: [Errno 111] Connect call failed\nServer stopped!",
            "Connect call failed (its database is the one that PREFECT_API_DATABASE_CONNECTION_URL names)",
        ),
        ("OSError: [Errno 28] No space left on device", "No space left on device"),
        ("Server stopped!", "Server stopped!"),
    ],
)
def test_a_server_that_ends_at_once_says_why_and_names_its_log(tmp_path, monkeypatch, written, said):
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "postgresql+asyncpg://me:x@127.0.0.1:9/x")
    log = tmp_path / "prefect.log"
    log.write_text("ValueError: of the time before\n")
    script = f"import sys; print({written!r}); sys.exit(3)"
    started = kept_process.subprocess.Popen
    monkeypatch.setattr(
        kept_process.subprocess, "Popen", lambda command, **how: started([command[0], "-c", script], **how)
    )
    with pytest.raises(EngineError) as failed, running(log=log):
        pytest.fail("it was started")
    line = str(failed.value)
    assert line.startswith("the Prefect server ended with code 3 before it answered: ") and said in line
    assert line.endswith(f"all of it: {log}") and "\n" not in line and "time before" not in line
