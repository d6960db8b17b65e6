"""The scripts for Slurm and for machines that may be taken away, with a `synclr` that writes down what it is asked."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

DOCKER = Path(__file__).parents[2] / "docker"
ARRAY, REST, SPOT = DOCKER / "slurm" / "array.sbatch", DOCKER / "slurm" / "rest.sbatch", DOCKER / "spot" / "run.sh"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A `synclr` that writes down its words and ends with the code of its turn, or runs until it is stopped."""
    program = tmp_path / "bin" / "synclr"
    program.parent.mkdir()
    program.write_text(
        f"""#!/bin/bash
echo "$@ home=$PREFECT_HOME" >> {tmp_path}/asked
trap 'echo stopped >> {tmp_path}/asked; exit 143' TERM
code=$(head -n 1 {tmp_path}/codes)
sed -i 1d {tmp_path}/codes
[ "$code" = forever ] && while true; do sleep 0.1; done
exit "$code"
"""
    )
    program.chmod(0o755)
    own = {"PATH": f"{program.parent}:{os.environ['PATH']}", "SYNCLR_ROOT": "s3://bucket/shards", "SYNCLR_PAUSE": "0.1"}
    return {"TMPDIR": str(tmp_path)} | own


def asked(tmp_path: Path, codes: str) -> None:
    (tmp_path / "codes").write_text("\n".join(codes.split()) + "\n")


def said(tmp_path: Path) -> list[str]:
    path = tmp_path / "asked"
    return path.read_text().splitlines() if path.exists() else []


def test_a_task_of_an_array_makes_its_slice_of_one_stage(tmp_path: Path, environment: dict[str, str]) -> None:
    asked(tmp_path, "0")
    task = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "8", "SLURM_JOB_ID": "77", "SYNCLR_RECIPE": "paper"}
    subprocess.run(["bash", ARRAY, "images"], env=environment | task, check=True)
    home = f"{tmp_path}/synclr-prefect-77"
    assert said(tmp_path) == [f"run paper --since images --until images --slice 3/8 home={home}"]


def test_the_rest_is_one_host_s(tmp_path: Path, environment: dict[str, str]) -> None:
    asked(tmp_path, "0")
    subprocess.run(["bash", REST, "encoder"], env=environment | {"SLURM_JOB_ID": "78"}, check=True)
    assert said(tmp_path) == [f"run tiny --since encoder home={tmp_path}/synclr-prefect-78"]


@pytest.mark.parametrize("script", [ARRAY, REST, SPOT])
def test_without_a_root_that_is_shared_nothing_begins(
    script: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    del environment["SYNCLR_ROOT"]
    done = subprocess.run(["bash", script, "1/2"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "SYNCLR_ROOT: name the folder" in done.stderr and not said(tmp_path)


@pytest.mark.parametrize("script", [ARRAY, REST])
def test_slurm_reads_every_directive_and_begins_anew_what_was_killed(script: Path) -> None:
    lines = script.read_text().splitlines()
    directives = [line for line in lines if line.startswith("#SBATCH")]
    assert all(re.fullmatch(r"#SBATCH --[a-z-]+(=[^ ]+)?", line) for line in directives)
    # Slurm stops reading at the first command.
    assert max(lines.index(line) for line in directives) < lines.index("set -eu")
    assert {"#SBATCH --requeue", "#SBATCH --signal=B:TERM@120"} <= set(directives)


def test_on_a_machine_that_may_go_it_tries_until_all_is_made(tmp_path: Path, environment: dict[str, str]) -> None:
    asked(tmp_path, "1 3 0")
    done = subprocess.run([SPOT, "3/8", "--until", "images"], env=environment, check=False, timeout=60)
    assert done.returncode == 0
    assert [line.split(" home=")[0] for line in said(tmp_path)] == ["run tiny --slice 3/8 --until images"] * 3


def test_a_wrong_request_is_not_tried_again(tmp_path: Path, environment: dict[str, str]) -> None:
    asked(tmp_path, "2 0")
    assert subprocess.run([SPOT, "9/8"], env=environment, check=False, timeout=60).returncode == 2
    assert len(said(tmp_path)) == 1


def test_at_sigterm_its_work_is_stopped_in_order_and_not_begun_again(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    asked(tmp_path, "forever 0")
    process = subprocess.Popen([SPOT, "1/2"], env=environment)
    until = time.monotonic() + 60
    while not said(tmp_path) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    assert said(tmp_path)[-1] == "stopped" and len(said(tmp_path)) == 2
