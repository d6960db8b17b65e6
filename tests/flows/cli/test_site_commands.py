"""`synclr site` serves the pages of a root, or writes them."""

import json
import signal
from pathlib import Path

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from data_specs.errors import SpecError
from flows.cli.app import app
from support.command_line import CommandLine, free_port
from support.made_up_run import make_run


def test_pages_are_written_to_a_folder(tmp_path: Path) -> None:
    make_run(str(tmp_path / "root"), "first", until="images")
    words = [
        "site",
        "--root",
        str(tmp_path / "root"),
        "--write",
        str(tmp_path / "pages"),
        "--shards",
        "1",
        "--captions",
        "2",
    ]
    written = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert written["folder"] == str(tmp_path / "pages") and written["pages"] > 10
    assert "first" in (tmp_path / "pages" / "index.html").read_text()
    again = CliRunner().invoke(app, words)
    assert isinstance(again.exception, SpecError) and "is not empty" in str(again.exception)


def test_a_root_without_runs_is_a_page_that_says_so(tmp_path: Path) -> None:
    words = ["site", "--root", str(tmp_path / "none"), "--write", str(tmp_path / "pages")]
    assert CliRunner().invoke(app, words).stdout.startswith("1 pages, 1 images and other files")
    assert "No runs yet" in (tmp_path / "pages" / "index.html").read_text() and not (tmp_path / "none").exists()


def test_what_is_no_address_of_pages_is_refused() -> None:
    refused = CliRunner().invoke(app, ["site", "--prefect", "javascript:alert(1)"])
    assert isinstance(refused.exception, SpecError) and "is no address of pages" in str(refused.exception)


@pytest.mark.slow(30)
def test_pages_are_served_on_loopback_until_ctrl_c(tmp_path: Path) -> None:
    make_run(str(tmp_path / "root"), "first", until="captions")
    line = CommandLine(tmp_path / "root", tmp_path / "home")
    process = line.start("site", "--port", str(port := free_port()), "--json")
    try:
        assert process.stdout
        told = "".join(iter(lambda: process.stdout.read(1), "}")) + "}"
        assert json.loads(told) == {"address": f"http://127.0.0.1:{port}", "root": str(tmp_path / "root")}
        answer = httpx.get(f"http://127.0.0.1:{port}/", timeout=60)
        assert answer.status_code == 200 and "first" in answer.text and "server" not in answer.headers
        opened = psutil.Process(process.pid).net_connections("inet")
        assert {each.laddr.ip for each in opened if each.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
        assert f"port {port} of 127.0.0.1 cannot be used" in line("site", "--port", str(port), code=2)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    finally:
        process.kill()
