"""Our own pages stand beside a Prefect server: at the next port, at one that is free, or at the one that was asked for."""

import socket
from pathlib import Path

import pytest

from data_specs.errors import SpecError
from flows.server.prefect_server import PrefectServer
from flows.server.site_process import SiteProcess
from support.command_line import free_port


def test_the_port_is_the_next_one_or_any_that_is_free(tmp_path: Path) -> None:
    server = PrefectServer(free_port())
    port = int(server.address.rsplit(":", 1)[1])
    assert SiteProcess(str(tmp_path), server, None, tmp_path / "log").address == f"http://127.0.0.1:{port + 1}"
    with socket.create_server(("127.0.0.1", port + 1)):
        beside = SiteProcess(str(tmp_path), server, None, tmp_path / "log").address
        assert beside.startswith("http://127.0.0.1:") and beside != f"http://127.0.0.1:{port + 1}"


def test_a_port_that_is_taken_is_refused_in_one_line(tmp_path: Path) -> None:
    server = PrefectServer(free_port())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for port in (taken.getsockname()[1], int(server.address.rsplit(":", 1)[1])):
            with pytest.raises(SpecError, match=f"port {port} of 127.0.0.1 is taken; choose another with --site-port"):
                SiteProcess(str(tmp_path), server, port, tmp_path / "log")
