"""A Dockerfile per kind of worker enters; its install, start and health commands, executed as they stand, leave no surprise.

Without a container engine: the image's folders (/opt, /data, /home) are folders below a temporary one, and a virtual environment
takes the place of the Python image. `RUN`, `CMD` and `HEALTHCHECK` are read from the Dockerfile and executed; Debian packages are
resolved but not installed, users are not made. The start command meets a real Prefect server on loopback, with authentication.

    python docker/rehearse.py --kinds cpu --build-arg PIP_EXTRA_INDEX_URL=

A machine without a GPU rehearses the other kinds with `--build-arg LOCK=cpu`, or only their installation with `--install-only`.
"""

import argparse
import base64
import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
KINDS = ("cpu", "captions", "images", "encoder")
POOL = "synclr"
UP_SECONDS = 180
FOLDERS = re.compile(r"(?<![\w.{}])/(opt|data|home)(?=/)")
LEFT_OUT = re.compile(r"^(PREFECT|SYNCLR|PYTHON|VIRTUAL_ENV|VLLM|HF)")
STAND_INS = {
    # Real package lists, kept apart from this machine's; nothing is installed on it.
    "apt-get": 'set -- $([ "$1" = update ] || echo --simulate) "$@"\n'
    'exec /usr/bin/apt-get -o Dir::State::lists="$APT" -o Dir::Cache="$APT" "$@"',
    "groupadd": "true",
    "useradd": "true",
    # Owners that were not made own nothing.
    "install": 'exec /usr/bin/install -d $(for each; do case $each in /*) echo "$each";; esac; done)',
}


class RehearsalError(Exception):
    """What a real build or start would have stumbled over."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction, its continuation lines joined."""

    word: str
    text: str


def read(dockerfile: Path) -> list[Step]:
    lines = [line for line in dockerfile.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [Step(*line.split(None, 1)) for line in joined.splitlines() if line.strip()]


@dataclass
class Image:
    """What a build leaves: folders below `root`, the environment, and how to start and to ask after it."""

    root: Path
    host: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    start: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def here(self, text: str) -> str:
        """Paths of the image as they are on this machine."""
        return FOLDERS.sub(rf"{self.root}/\1", text)

    def execute(self, command: list[str], more: dict[str, str], **options: Any) -> "subprocess.Popen[bytes]":
        environment = self.host | self.environment | more
        program = shutil.which(command[0], path=environment["PATH"])
        if program is None:
            raise RehearsalError(f"{command[0]!r} is not in the image's PATH {environment['PATH']}")
        return subprocess.Popen([program, *command[1:]], env=environment, cwd=self.here(f"{self.workdir}/"), **options)


@dataclass
class Build:
    """Takes a kind's instructions in turn; a RUN with the same history as one for another kind is not executed again."""

    kind: str
    given: dict[str, str]
    image: Image
    done: set[str]
    arguments: dict[str, str] = field(default_factory=dict)
    history: str = ""

    def take(self, step: Step) -> None:
        act = getattr(self, f"_{step.word.lower()}", None)
        if act is None:
            raise RehearsalError(f"{self.kind}: this rehearsal does not know {step.word}; teach it")
        # The shell expands what RUN names; the builder the rest.
        text = self.image.here(step.text) if step.word == "ENV" else step.text
        text = text if step.word in ("RUN", "CMD", "HEALTHCHECK") else self._expanded(text)
        said = f"{self.history}{step.word} {text}{sorted(self.arguments.items())}"
        self.history = hashlib.sha256(said.encode()).hexdigest()
        act(text)

    def _expanded(self, text: str) -> str:
        known = self.image.host | self.image.environment | self.arguments
        return re.sub(r"\$\{?(\w+)\}?", lambda name: known.get(name[1], ""), text)

    def _from(self, text: str) -> None:
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        if not text.startswith(f"python:{here}."):
            raise RehearsalError(f"FROM {text}: rehearse it with that Python; this one is {here}")
        self.image = Image(self.image.root, self.image.host)
        self.arguments, self.history = {}, text.split(" ")[0]

    def _arg(self, text: str) -> None:
        name, _, default = text.partition("=")
        self.arguments[name] = self.given.get(name, default)

    def _env(self, text: str) -> None:
        self.image.environment |= dict(pair.split("=", 1) for pair in text.split())

    def _workdir(self, text: str) -> None:
        self.image.workdir = text
        Path(self.image.here(f"{text}/")).mkdir(parents=True, exist_ok=True)

    def _copy(self, text: str) -> None:
        *sources, target = text.split()
        if sources[0].startswith("--from="):  # the stages share their folders, so what was copied is there
            if not Path(self.image.here(f"{sources[1]}/")).is_dir():
                raise RehearsalError(f"{self.kind}: COPY {text}: the stage before left no {sources[1]}")
            return
        into = Path(self.image.here(f"{self.image.workdir}/{target}"))
        for source in (PROJECT / name for name in sources):
            if source.is_dir():
                shutil.copytree(source, into, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.is_file():
                into.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, into)
            else:
                raise RehearsalError(f"{self.kind}: COPY {text}: there is no {source}")

    def _run(self, text: str) -> None:
        step = f"{self.image.root}{self.history}"
        if step in self.done:
            print(f"{self.kind}: done before: {text}", flush=True)
            return
        print(f"{self.kind}: RUN {text}", flush=True)
        started = time.monotonic()
        # What the image leaves empty is this machine's to say: an index at hand is not overruled by none.
        more = {name: value for name, value in self.arguments.items() if value}
        if code := self.image.execute(["sh", "-c", self.image.here(text)], more).wait():
            raise RehearsalError(f"{self.kind}: RUN {text}\nended with code {code}")
        print(f"{self.kind}: {time.monotonic() - started:.0f} s", flush=True)
        self.done.add(step)

    def _healthcheck(self, text: str) -> None:
        self.image.health = json.loads(text[text.index("CMD") + 3 :])

    def _cmd(self, text: str) -> None:
        self.image.start = json.loads(text)

    def _label(self, text: str) -> None:
        """Says nothing that is executed."""

    def _user(self, text: str) -> None:
        """Nobody is made on this machine: everything runs as whoever started the rehearsal."""


def build(kind: str, given: dict[str, str], scratch: Path, done: set[str]) -> Image:
    steps = read(PROJECT / "docker" / f"{kind}.Dockerfile")
    building = Build(kind, given, Image(scratch / _installed(steps, given), _host(scratch)), done)
    for step in steps:
        building.take(step)
    return building.image


def _installed(steps: list[Step], given: dict[str, str]) -> str:
    """A name for what the first stage installs: the same for kinds that install the same."""
    second = [number for number, step in enumerate(steps) if step.word == "FROM"][1]
    names = [step.text.split("=")[0] if step.word == "ARG" else "" for step in steps[:second]]
    said = [(step.word, given.get(name, step.text)) for step, name in zip(steps, names, strict=False)]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]


def _host(scratch: Path) -> dict[str, str]:
    """What an engine would give: this machine's way to its package index, a home, and stand-ins for what needs an image."""
    stand_ins, apt, home = (scratch / name for name in ("stand-ins", "apt", "home"))
    for folder in (stand_ins, apt / "partial", home):
        folder.mkdir(parents=True, exist_ok=True)
    for name, body in STAND_INS.items():
        (stand_ins / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (stand_ins / name).chmod(0o755)
    python = stand_ins / "python"
    python.unlink(missing_ok=True)
    python.symlink_to(Path(sys.executable).resolve())
    kept = {name: value for name, value in os.environ.items() if not LEFT_OUT.match(name)}
    return kept | {"PATH": f"{stand_ins}:/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "APT": str(apt)}


@contextlib.contextmanager
def process(image: Image, command: list[str], more: dict[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """In a session of its own, ended with all its children."""
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
class Server:
    """A Prefect server that asks for a name and a password."""

    url: str
    auth: str

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        credentials = base64.b64encode(self.auth.encode()).decode()
        request = urllib.request.Request(f"{self.url}{path}", json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", f"Basic {credentials}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def settings(self) -> dict[str, str]:
        return {"PREFECT_API_URL": self.url, "PREFECT_API_AUTH_STRING": self.auth}


@contextlib.contextmanager
def prefect_server(image: Image, scratch: Path) -> Iterator[Server]:
    port, auth = free_port(), f"rehearsal:{secrets.token_hex(16)}"
    command = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    more = {"PREFECT_HOME": str(scratch / "server"), "PREFECT_SERVER_API_AUTH_STRING": auth}
    with process(image, command, more, scratch / "server.log") as child:
        url = f"http://127.0.0.1:{port}/api"
        await_true(lambda: _answers(f"{url}/health"), child, scratch / "server.log", "the Prefect server answers")
        yield Server(url, auth)


def start(kind: str, image: Image, server: Server, scratch: Path) -> None:
    """The start command until the image's own health check and the server both say that the worker is there; then SIGTERM."""
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
    if healthy():
        raise RehearsalError(f"{kind}: the health check still succeeds after the worker has ended")


def _polls(server: Server, kind: str) -> bool:
    workers = server.ask(f"/work_pools/{POOL}/workers/filter", {})
    queues = server.ask(f"/work_pools/{POOL}/queues/filter", {})
    asked = {queue["name"] for queue in queues if queue["last_polled"]}
    return kind in asked and any(worker["status"] == "ONLINE" for worker in workers)


def await_true(condition: Any, child: "subprocess.Popen[bytes]", log: Path, what: str) -> None:
    until = time.monotonic() + UP_SECONDS
    while not condition():
        if child.poll() is not None or time.monotonic() > until:
            said = log.read_text(encoding="utf-8", errors="replace")[-3000:]
            raise RehearsalError(f"waited in vain until {what}; the process said:\n{said}")
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
    parser.add_argument("--build-arg", action="append", default=[], help="NAME=VALUE, as for `docker build`")
    parser.add_argument(
        "--install-only", action="store_true", help="no start: for a lock that needs hardware this machine lacks"
    )
    asked = parser.parse_args()
    kinds = asked.kinds.split(",")
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    given = dict(pair.partition("=")[::2] for pair in asked.build_arg)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    done: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="synclr-rehearsal-") as folder:
        scratch = Path(folder)
        try:
            images = {kind: build(kind, given, scratch, done) for kind in kinds}
            if not asked.install_only:
                with prefect_server(images[kinds[0]], scratch) as server:
                    for kind, image in images.items():
                        start(kind, image, server, scratch)
        except RehearsalError as error:
            sys.exit(f"rehearsal: {error}")
    print(f"rehearsed: {', '.join(kinds)}", flush=True)


if __name__ == "__main__":
    main()
