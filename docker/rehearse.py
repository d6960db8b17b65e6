"""Rehearse each kind of worker's Dockerfile without a container engine: install, start and health commands as they stand.

The image's folders (/opt, /data, /home) are folders below a temporary one, and a virtual environment
takes the place of the Python image. `RUN`, `CMD` and `HEALTHCHECK` are read from the Dockerfile and executed; Debian packages are
resolved but not installed, users are not made. The start command meets a real Prefect server on loopback, with authentication.

    python docker/rehearse.py --kinds cpu --build-arg PIP_EXTRA_INDEX_URL=

A machine without a GPU rehearses the other kinds with `--build-arg LOCK=cpu`, or only their installation with `--install-only`.
`--environment .venv` takes what is installed there and rehearses the start alone.
"""

import argparse
import base64
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dockerfile import DockerImage, RehearsalError, build

KINDS = ("cpu", "captions", "images", "encoder")
POOL = "synclr"
UP_SECONDS = 300


@contextlib.contextmanager
def process(
    image: DockerImage, command: list[str], more: dict[str, str], log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a command in a session of its own; end it, with all its children, after the block."""
    with log.open("wb") as output:
        child = image.execute(command, more, stdout=output, stderr=output, start_new_session=True)
    try:
        yield child
    finally:
        for sent, seconds in ((signal.SIGTERM, 20), (signal.SIGKILL, 5)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, sent)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(seconds)


@dataclass(frozen=True, slots=True)
class RehearsalServer:
    """A Prefect server that asks for a name and a password."""

    url: str
    auth: str

    def post(self, path: str, body: dict[str, Any]) -> Any:
        credentials = base64.b64encode(self.auth.encode()).decode()
        request = urllib.request.Request(f"{self.url}{path}", json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", f"Basic {credentials}")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def settings(self) -> dict[str, str]:
        return {"PREFECT_API_URL": self.url, "PREFECT_API_AUTH_STRING": self.auth}


@contextlib.contextmanager
def prefect_server(image: DockerImage, scratch: Path) -> Iterator[RehearsalServer]:
    port, auth = free_port(), f"rehearsal:{secrets.token_hex(16)}"
    command = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    more = {"PREFECT_HOME": str(scratch / "server"), "PREFECT_SERVER_API_AUTH_STRING": auth}
    with process(image, command, more, scratch / "server.log") as child:
        url = f"http://127.0.0.1:{port}/api"
        await_true(lambda: _answers(f"{url}/health"), child, scratch / "server.log", "the Prefect server answers")
        yield RehearsalServer(url, auth)


def start(kind: str, image: DockerImage, server: RehearsalServer, scratch: Path) -> None:
    """Run the start command until the image's own health check and the server both say that the worker is there; then end it."""
    log = scratch / f"{kind}.log"
    more = {"PREFECT_HOME": str(scratch / kind), "PREFECT_WORKER_WEBSERVER_PORT": str(free_port())} | server.settings()

    def healthy() -> bool:
        return image.execute(image.health, more, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait() == 0

    if healthy():
        raise RehearsalError(f"{kind}: the health check calls a worker healthy that was never started")
    print(f"{kind}: CMD {' '.join(image.start)}", flush=True)
    started = time.monotonic()
    with process(image, image.start, more, log) as child:
        await_true(healthy, child, log, "HEALTHCHECK succeeds")
        await_true(lambda: _polls(server, kind), child, log, f"the server sees a worker on queue {kind!r}")
        print(f"{kind}: healthy after {time.monotonic() - started:.0f} s, and known to the server", flush=True)
        if kind == "cpu":
            run_concepts(image, more, scratch)
    if healthy():
        raise RehearsalError(f"{kind}: the health check still succeeds after the worker has ended")


def run_concepts(image: DockerImage, more: dict[str, str], scratch: Path) -> None:
    """Run the deployment of one stage on the worker that was just started."""
    _finish(image, ["prefect", "deployment", "run", "synclr/concepts", "--watch"], more, scratch / "concepts.log")
    if not list((scratch / "shards" / "concepts").rglob("concepts-000000.json")):
        raise RehearsalError(f"synclr/concepts ended well and left no manifest under {scratch / 'shards'}")


def _finish(image: DockerImage, command: list[str], more: dict[str, str], log: Path) -> None:
    print(" ".join(command), flush=True)
    with log.open("wb") as output:
        code = image.execute(command, more, stdout=output, stderr=output).wait(UP_SECONDS)
    if code:
        raise RehearsalError(f"{' '.join(command)} ended with code {code}:\n{log.read_text(encoding='utf-8')[-3000:]}")


def _polls(server: RehearsalServer, kind: str) -> bool:
    workers = server.post(f"/work_pools/{POOL}/workers/filter", {})
    queues = server.post(f"/work_pools/{POOL}/queues/filter", {})
    polled = {queue["name"] for queue in queues if queue["last_polled"]}
    return kind in polled and any(worker["status"] == "ONLINE" for worker in workers)


def await_true(condition: Any, child: "subprocess.Popen[bytes]", log: Path, what: str) -> None:
    until = time.monotonic() + UP_SECONDS
    while not condition():
        if child.poll() is not None or time.monotonic() > until:
            printed = log.read_text(encoding="utf-8", errors="replace")[-3000:]
            raise RehearsalError(f"waited in vain until {what}; the process printed:\n{printed}")
        time.sleep(1)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default=",".join(KINDS), help="comma-separated: cpu, captions, images, encoder")
    parser.add_argument("--environment", type=Path, help="a virtual environment to start from, instead of installing")
    parser.add_argument("--build-arg", action="append", default=[], help="NAME=VALUE, as for `docker build`")
    parser.add_argument(
        "--install-only", action="store_true", help="no start: for a lock that needs hardware this machine lacks"
    )
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    build_args = dict(pair.partition("=")[::2] for pair in options.build_arg)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    done: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="synclr-rehearsal-") as folder:
        scratch = Path(folder)
        try:
            images = {kind: build(kind, build_args, scratch, done, options.environment) for kind in kinds}
            if not options.install_only:
                with prefect_server(images[kinds[0]], scratch) as server:
                    # As in compose.yaml: a worker polls no queue that no deployment has named yet.
                    more = server.settings() | {
                        "PREFECT_HOME": str(scratch / "deploy"),
                        "SYNCLR_ROOT": str(scratch / "shards"),
                    }
                    _finish(images[kinds[0]], ["synclr", "deploy"], more, scratch / "deploy.log")
                    for kind, image in images.items():
                        start(kind, image, server, scratch)
        except RehearsalError as error:
            sys.exit(f"rehearsal: {error}")
    print(f"rehearsed: {', '.join(kinds)}", flush=True)


if __name__ == "__main__":
    main()
