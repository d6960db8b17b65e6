"""Runs that are killed, stopped, or made twice at once; their captions are fake, for the language model loads half a minute."""

import json
import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from support.command_line import (
    FAKE_CAPTIONS,
    PATIENCE_SECONDS,
    CommandLine,
    all_gone,
    descendants,
    manifests,
    sets,
    times,
)

pytestmark = pytest.mark.slow(50)
RANDOM_KILLS = int(os.environ.get("SYNCLR_TEST_KILLS", "1"))


@pytest.mark.long(90)
def test_two_processes_grow_one_lineage_without_remaking_or_corrupting_a_shard(undisturbed, tmp_path):
    root = shutil.copytree(undisturbed.root, tmp_path / "root")
    grown = CommandLine(root, undisturbed.home, undisturbed.server)
    before = times(root, "concepts", "captions", "images")
    arguments = ("run", "tiny", *sets(captions__total=32, **FAKE_CAPTIONS), "--until", "images")
    both = [grown.start(*arguments, "--name", name) for name in ("one", "two")]
    outputs = [process.communicate(timeout=PATIENCE_SECONDS) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert all("4 shards" in out for out, _ in outputs)
    after = times(root, "captions", "images", "concepts")
    assert {path: after[path] for path in before} == before
    assert json.loads(grown("verify", "one", "--json")) == {"shards": {"one": 13}, "faults": []}


def begun(process: "subprocess.Popen[str]", pattern: str, run: CommandLine) -> list[int]:
    """The process and its descendants, once a file of the run says that it came so far."""
    until = time.monotonic() + 240
    while not list(run.root.glob(pattern)):
        assert process.poll() is None and time.monotonic() < until, f"nothing made {pattern}"
        time.sleep(0.1)
    family = [process.pid, *descendants(process.pid)]
    assert len(family) >= 2 + (run.server is None), (
        "an engine, and the server where it is the run's own, should be there"
    )
    return family


def stopped_by_ctrl_c(process: "subprocess.Popen[str]", family: list[int]) -> None:
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=180)
    assert process.returncode == 130, said
    assert "the same command goes on" in said and "Traceback" not in said
    assert all_gone(family)


def test_ctrl_c_in_the_middle_of_a_training_ends_at_once_and_leaves_no_process_behind(prefect_server, tmp_path):
    """The engine has thousands of steps to go, and nobody waits for them."""
    run = CommandLine(tmp_path / "root", tmp_path / "home", prefect_server)
    settings = sets(encoder__steps=30000, images__engine="fake", **FAKE_CAPTIONS)
    process = run.start("run", "tiny", *settings, "--until", "encoder", start_new_session=True)
    stopped_by_ctrl_c(process, begun(process, "encoder/*/metrics.jsonl", run))


@pytest.mark.long(60)
def test_ctrl_c_while_the_language_model_loads_ends_at_once_and_leaves_no_process_behind(tmp_path):
    run = CommandLine(tmp_path / "root", tmp_path / "home")
    process = run.start("run", "tiny", *sets(), start_new_session=True)
    stopped_by_ctrl_c(process, begun(process, "runs/*/logs/captions-*.log", run))


@pytest.mark.long(240)
def test_a_run_killed_at_random_instants_ends_as_an_undisturbed_one(undisturbed, tmp_path):
    """An instant is when so many files of the run are there, half-written ones too."""
    disturbed, stages = CommandLine(tmp_path / "root", tmp_path / "home"), ("concepts", "captions", "images")
    command = ("run", "tiny", *sets(**FAKE_CAPTIONS), "--until", "images")
    whole = len(times(undisturbed.root, *stages))
    seed = int(os.environ.get("SYNCLR_TEST_SEED", time.time_ns() % 1_000_000))
    chance, kills = random.Random(seed), 0
    while kills < RANDOM_KILLS:
        files, process = chance.randrange(1, whole), disturbed.start(*command)
        until = time.monotonic() + 240
        while len(times(disturbed.root, *stages)) < files and process.poll() is None:
            assert time.monotonic() < until, f"seed {seed}: no {files} files"
            time.sleep(0.01)
        if process.poll() is not None:
            break
        family = descendants(process.pid)
        process.kill()
        process.communicate()
        kills += 1
        assert all_gone(family), "a killed run left processes behind"
        print(
            f"seed {seed}, kill {kills} at {files} of {whole} files: {len(manifests(disturbed.root, *stages))} manifests"
        )
    assert kills, "the first is always in time"
    disturbed(*command)
    after, before = manifests(disturbed.root, *stages), manifests(undisturbed.root, *stages)
    assert after == before
    assert disturbed.json("verify", "tiny")["faults"] == []
    assert not list(disturbed.root.rglob("*.part-*"))
