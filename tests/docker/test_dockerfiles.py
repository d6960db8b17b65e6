"""What every image promises, read from its Dockerfile, and hadolint's opinion."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from flows.server.deployments import QUEUES
from flows.server.settings import DEFAULTS

PROJECT = Path(__file__).parents[2]
KINDS = sorted(set(QUEUES.values()))
GPU_KINDS = [kind for kind in KINDS if kind != "cpu"]


def text(kind: str) -> str:
    return (PROJECT / "docker" / f"{kind}.Dockerfile").read_text(encoding="utf-8")


def instructions(kind: str, word: str) -> list[str]:
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"(?m)^#.*\n", "", text(kind)))
    return [line.split(None, 1)[1] for line in joined.splitlines() if line.startswith(f"{word} ")]


def test_every_queue_of_a_deployment_has_a_dockerfile_and_every_dockerfile_a_queue():
    assert sorted(path.name.removesuffix(".Dockerfile") for path in (PROJECT / "docker").glob("*.Dockerfile")) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_hadolint_finds_nothing(kind, tool):
    linted = tool("hadolint", f"docker/{kind}.Dockerfile")
    assert (linted.returncode, linted.stdout) == (0, "")


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_has_stages_a_pinned_start_and_nobody_as_root(kind):
    starts = instructions(kind, "FROM")
    assert len(starts) == 2 and all(re.match(r"python:3\.11\.\d+-slim-bookworm AS ", start) for start in starts)
    assert instructions(kind, "USER") == ["10001:10001"]
    assert "PIP_NO_CACHE_DIR=1" in text(kind) and (
        "apt-get" not in text(kind) or "rm -rf /var/lib/apt/lists" in text(kind)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_takes_its_queue_of_our_pool_and_says_whether_it_is_well(kind):
    (start,) = map(json.loads, instructions(kind, "CMD"))
    assert start[:5] == ["prefect", "worker", "start", "--pool", "synclr"]
    assert start[start.index("--work-queue") + 1] == kind and "--with-healthcheck" in start
    (health,) = instructions(kind, "HEALTHCHECK")
    probe = json.loads(health[health.index("CMD") + 3 :])
    ast.parse(probe[2])
    environment = " ".join(instructions(kind, "ENV"))
    assert "http://127.0.0.1:" in probe[2] and "PREFECT_WORKER_WEBSERVER_HOST=127.0.0.1" in environment


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_keeps_to_the_settings_of_every_other_door(kind):
    environment = dict(pair.split("=", 1) for pair in " ".join(instructions(kind, "ENV")).split())
    for name in ("DO_NOT_TRACK", "PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "PREFECT_RESULTS_DEFAULT_SERIALIZER"):
        assert environment[name] == DEFAULTS[name]


@pytest.mark.parametrize("kind", GPU_KINDS)
def test_kinds_with_a_gpu_share_their_layers_word_for_word_and_hold_one_stage_at_a_time(kind):
    def installed(kind: str) -> str:
        return text(kind).split("FROM ")[1]

    assert installed(kind) == installed("encoder")
    (start,) = map(json.loads, instructions(kind, "CMD"))
    assert start[start.index("--limit") + 1] == "1"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_copied_is_there_and_nothing_else_reaches_the_builder(kind):
    let_in = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for copied in instructions(kind, "COPY"):
        sources = [word for word in copied.split()[:-1] if not copied.startswith("--from")]
        for source in sources:
            asked = source.replace("${LOCK}", "cpu" if kind == "cpu" else "cuda")
            assert (PROJECT / asked).exists()
            assert asked in let_in or f"{Path(asked).parent}/*{Path(asked).suffix}" in let_in, f"{asked} is ignored"


def test_the_build_tools_are_those_of_the_makefile():
    (pinned,) = re.findall(r"install --quiet .* (hatchling==\S+ editables==\S+)", (PROJECT / "Makefile").read_text())
    assert all(pinned in text(kind) for kind in KINDS)


def test_the_tags_are_this_version():
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    for path in [*(PROJECT / "docker").rglob("*.yaml"), *(PROJECT / "docker").glob("*.Dockerfile")]:
        assert set(re.findall(r"synclr-\w+:([\w.]+)", path.read_text())) <= {version}, path


@pytest.mark.long(60)
def test_every_start_command_brings_up_a_healthy_worker_that_runs_what_is_deployed():
    """The install commands take minutes and gigabytes: `python docker/rehearse.py` executes those too."""
    environment = Path(sys.executable).parents[1]
    command = [sys.executable, "docker/rehearse.py", "--environment", str(environment)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=1700)
    assert done.returncode == 0, done.stderr
    assert f"rehearsed: {', '.join(['cpu', 'captions', 'images', 'encoder'])}" in done.stdout
