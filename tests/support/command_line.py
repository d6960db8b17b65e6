"""The whole run with real engines, cut small, through the command line as a person runs it."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 1700
GONE = (FileNotFoundError, ProcessLookupError)
"""What reading /proc raises for a process that ends meanwhile."""
SMALL = {
    "captions.total": 16,
    "captions.per_shard": 8,
    "encoder.steps": 6,
    "encoder.warmup_steps": 2,
    "encoder.captions_per_step": 8,
    "encoder.checkpoint_every": 2,
    "embeddings.benchmarks": "[styles]",
    "embeddings.copies": 1,
    "embeddings.random_inits": 1,
    "execution.workers": 1,  # a second engine of each stage takes longer to load than it saves
}


FAKE_CAPTIONS = {"captions__engine": "fake"}
"""For runs that are about something else: the language model takes half a minute to load."""


def sets(**overrides: Any) -> list[str]:
    settings = SMALL | {name.replace("__", "."): value for name, value in overrides.items()}
    return [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class CommandLine:
    """`synclr` on one root, with a Prefect home of its own; without a `server`'s address each run starts one."""

    root: Path
    home: Path
    server: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        own = {"SYNCLR_ROOT": str(self.root), "PREFECT_HOME": str(self.home), "PYTHONPATH": str(ROOT)}
        return os.environ | own | ({"PREFECT_API_URL": f"{self.server}/api"} if self.server else {})

    def start(self, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *arguments],
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def __call__(self, *arguments: str, code: int = 0) -> str:
        process = self.start(*arguments)
        try:
            out, said = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.kill()  # one that is too slow is not to load the machine any longer
        assert process.returncode == code, f"exit {process.returncode}: {said[-3000:]}{out[-1000:]}"
        assert " | INFO " not in said, f"Prefect talks into the progress lines: {said[:2000]}"
        return out if code == 0 else said

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))


def manifests(root: Path, *stages: str) -> dict[str, bytes]:
    """Path below the root -> bytes, of every manifest of the stages."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for stage in stages
        for path in sorted((root / stage).rglob(f"{stage}-[0-9]*.json"))
        if not path.name.endswith(".made.json")
    }


def times(root: Path, *stages: str) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for stage in stages for path in (root / stage).rglob("*.*") if path.is_file()}


def descendants(pid: int) -> list[int]:
    children: list[int] = []
    with suppress(*GONE):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(*GONE):
                children += map(int, (task / "children").read_text().split())
    return [each for child in children for each in (child, *descendants(child))]


def all_gone(pids: list[int]) -> bool:
    """Within a minute and a half: a server shuts down in order, and an engine in the middle of an import notices late."""
    until = time.monotonic() + 90
    while any(alive(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.2)
    return not any(alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except GONE:
        return False
