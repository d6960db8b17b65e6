"""Where the files are, and the linters that came with the environment."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def tool() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs a program that stands beside this Python, with only the environment it is given."""

    def run(name: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        command = [str(Path(sys.executable).parent / name), *arguments]
        return subprocess.run(
            command,
            cwd=PROJECT,
            # This tree, also where the installed one is another: planted faults stand in copies.
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT)} | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run
