"""Debian's PostgreSQL and a folder enter; a database on a free port of loopback leaves, gone after the block."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.stack import free_port

START_SECONDS = 60


def programs() -> Path | None:
    """The newest that Debian's package has put here."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def database() -> Iterator[str]:
    """As a setting for Prefect."""
    bin_folder = programs()
    assert bin_folder is not None
    password, port = secrets.token_hex(16), free_port()
    folder = Path(tempfile.mkdtemp(prefix="synclr-postgres-"))
    # PostgreSQL refuses to run as root; the package has made a user for it.
    who: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    secret = folder / "password"
    secret.write_text(password)
    if who:
        for path in (folder, secret):
            shutil.chown(path, "postgres", "postgres")
    data = folder / "data"
    command = [bin_folder / "initdb", "-D", data, "-U", "prefect", "--auth=scram-sha-256", f"--pwfile={secret}", "-N"]
    subprocess.run([*command, "--locale=C.UTF-8"], check=True, capture_output=True, cwd=folder, **who)
    settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "port": port, "fsync": "off"}
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [bin_folder / "postgres", "-D", data, *words], stdout=log, stderr=log, cwd=folder, **who
        )
    try:
        until = time.monotonic() + START_SECONDS
        ready = [bin_folder / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        while subprocess.run(ready).returncode:
            assert server.poll() is None and time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.2)
        yield f"postgresql+asyncpg://prefect:{password}@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)  # its fast end: it does not wait for clients
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)
