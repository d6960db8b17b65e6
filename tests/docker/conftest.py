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
            env={"PATH": "/usr/bin:/bin"} | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run
