"""Build a Dockerfile without a container engine: its instructions, executed below a folder that stands for the image."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
FOLDERS = re.compile(r"(?<![\w.{}])/(opt|data|home|var)(?=/)")
STRAY = re.compile(r"(?<![\w.:/{}])/(?!opt/|data/|home/|var/)\w[\w/.]*")
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
class Instruction:
    """One instruction, its continuation lines joined."""

    word: str
    text: str


def read(dockerfile: Path) -> list[Instruction]:
    lines = [line for line in dockerfile.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [Instruction(*line.split(None, 1)) for line in joined.splitlines() if line.strip()]


@dataclass
class DockerImage:
    """The result of a build: folders below `root`, the environment, the start command and the health check."""

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
class ImageBuild:
    """Takes a kind's instructions in turn; a RUN with the same history as one for another kind is not executed again."""

    kind: str
    given: dict[str, str]
    image: DockerImage
    done: set[str]
    installs: bool = True
    arguments: dict[str, str] = field(default_factory=dict)
    history: str = ""

    def take(self, step: Instruction) -> None:
        act = getattr(self, f"_{step.word.lower()}", None)
        if act is None:
            raise RehearsalError(
                f"{self.kind}: this rehearsal does not know {step.word}; add it to docker/dockerfile.py"
            )
        # The shell expands what RUN names; the builder the rest.
        text = self.image.here(step.text) if step.word == "ENV" else step.text
        text = text if step.word in ("RUN", "CMD", "HEALTHCHECK") else self._expanded(text)
        if step.word == "ARG":
            name, _, default = text.partition("=")
            text = f"{name}={self.given.get(name, default)}"
        history = f"{self.history}{step.word} {text}{sorted(self.arguments.items())}"
        self.history = hashlib.sha256(history.encode()).hexdigest()
        act(text)

    def _expanded(self, text: str) -> str:
        known = self.image.host | self.image.environment | self.arguments
        return re.sub(r"\$\{?(\w+)\}?", lambda name: known.get(name[1], ""), text)

    def _from(self, text: str) -> None:
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        if not text.startswith(f"python:{here}."):
            raise RehearsalError(f"FROM {text}: rehearse it with that Python; this one is {here}")
        self.image = DockerImage(self.image.root, self.image.host)
        self.arguments, self.history = {}, text.split(" ")[0]

    def _arg(self, text: str) -> None:
        name, _, value = text.partition("=")
        self.arguments[name] = value

    def _env(self, text: str) -> None:
        self.image.environment |= dict(pair.split("=", 1) for pair in text.split())

    def _workdir(self, text: str) -> None:
        self.image.workdir = text
        Path(self.image.here(f"{text}/")).mkdir(parents=True, exist_ok=True)

    def _copy(self, text: str) -> None:
        if not self.installs:
            return
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
        if not self.installs:
            return
        step = f"{self.image.root}{self.history}"
        if step in self.done:
            print(f"{self.kind}: done before: {text}", flush=True)
            return
        if stray := STRAY.search(text):
            raise RehearsalError(
                f"{self.kind}: RUN {text}\nnames {stray[0]}, which is this machine's; give it a stand-in in docker/dockerfile.py"
            )
        print(f"{self.kind}: RUN {text}", flush=True)
        started = time.monotonic()
        # Empty arguments stay unset, so that they do not overrule this machine's package index.
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


def build(kind: str, given: dict[str, str], scratch: Path, done: set[str], environment: Path | None) -> DockerImage:
    steps = read(PROJECT / "docker" / f"{kind}.Dockerfile")
    root = scratch / _installed(steps, given)
    if environment and not root.exists():
        (root / "opt" / "synclr").mkdir(parents=True)
        (root / "opt" / "synclr" / ".venv").symlink_to(environment.absolute())
    building = ImageBuild(kind, given, DockerImage(root, _host(scratch)), done, installs=environment is None)
    for step in steps:
        building.take(step)
    return building.image


def _installed(steps: list[Instruction], given: dict[str, str]) -> str:
    """A name for what the first stage installs: the same for kinds that install the same."""
    second = [number for number, step in enumerate(steps) if step.word == "FROM"][1]
    names = [step.text.split("=")[0] if step.word == "ARG" else "" for step in steps[:second]]
    installs = [(step.word, given.get(name, step.text)) for step, name in zip(steps, names, strict=False)]
    return hashlib.sha256(json.dumps(installs).encode()).hexdigest()[:12]


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
