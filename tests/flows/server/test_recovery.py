"""What was killed is not shown running for ever, and does not come back for ever."""

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import AwaitingRetry, Completed, Crashed, Running

from flows.server import recovery
from flows.server.prefect_server import running
from flows.server.recovery import GOING_ON, MOST_CRASHES, PROCESS, TRY, _crashes_in_a_row, _is_gone, recover

ROOT = Path(__file__).parents[3]
HANGING = """
import time
from prefect import flow, task
from flows.server.recovery import register_process

@task
def bundle():
    print("hangs", flush=True)
    time.sleep(600)

@flow
def stage():
    bundle.submit().result()

@flow
def run():
    register_process()
    stage()

run()
"""


@pytest.mark.slow(30)
def test_a_killed_run_its_stage_and_its_bundles_are_marked_and_a_living_one_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    with running(log=tmp_path / "server.log") as address, temporary_settings({PREFECT_API_URL: f"{address}/api"}):
        environment = os.environ | {"PREFECT_API_URL": f"{address}/api", "PYTHONPATH": str(ROOT)}
        killed, living = (
            subprocess.Popen([sys.executable, "-c", HANGING], env=environment, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        )
        try:
            assert "hangs" in killed.stdout.readline() and "hangs" in living.stdout.readline()
            with get_client(sync_client=True) as client:
                _until(lambda: len(client.read_task_runs()) == 4)  # two bundles, two nodes that stand for stages
                killed.send_signal(signal.SIGKILL)
                killed.wait()
                assert recover() == 4
                states = sorted((run.name, run.state.type.value) for run in client.read_flow_runs())
                assert sorted(state for _, state in states) == ["CRASHED", "CRASHED", "RUNNING", "RUNNING"]
                _until(lambda: _states(client) == ["CRASHED", "CRASHED", "RUNNING", "RUNNING"])
                assert recover() == 0
        finally:
            for process in (killed, living):
                process.kill()
                process.wait()


@pytest.mark.slow(30)
def test_a_task_whose_end_is_not_written_down_yet_is_left_alone_for_a_while(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    with (
        running(log=tmp_path / "server.log") as address,
        temporary_settings({PREFECT_API_URL: f"{address}/api"}),
        get_client(sync_client=True) as client,
    ):
        stage = client.create_flow_run(flow(lambda: None, name="stage"), state=Running())
        client.create_task_run(task(lambda: None, name="seal"), stage.id, "seal-0", state=Running())
        assert recover() == 0, "the stage is at work"
        client.set_flow_run_state(stage.id, Completed(), force=True)
        assert recover() == 0 and _states(client) == ["RUNNING"]
        monkeypatch.setattr(recovery, "SETTLED", timedelta(0))
        assert recover() == 1 and _states(client) == ["CRASHED"]


def test_a_run_that_is_tried_again_is_not_judged_by_the_process_of_the_try_before():
    dead = {PROCESS: f"{socket.gethostname()}:1:0", TRY: 1}
    assert _is_gone(FlowRun(flow_id=uuid4(), labels=dead, run_count=1))
    assert not _is_gone(FlowRun(flow_id=uuid4(), labels=dead, run_count=2))
    assert not _is_gone(FlowRun(flow_id=uuid4(), labels={}, run_count=1))
    elsewhere = {PROCESS: "another-host:1:0", TRY: 1}
    assert not _is_gone(FlowRun(flow_id=uuid4(), labels=elsewhere, run_count=1))


def test_crashes_count_until_a_person_retries():
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def put_back(messages, fired=1):
        """Crashed, and put back with a message; Prefect may fire an automation more than once for one crash."""
        states = [state for message in messages for state in [Crashed(), *[AwaitingRetry(message=message)] * fired]]
        return [
            state.model_copy(update={"timestamp": start + timedelta(minutes=minute)})
            for minute, state in enumerate(states)
        ]

    assert _crashes_in_a_row(put_back([None, *[GOING_ON] * MOST_CRASHES])) == MOST_CRASHES
    assert _crashes_in_a_row(put_back([GOING_ON, GOING_ON, "Retry from the UI", GOING_ON])) == 1
    assert _crashes_in_a_row(put_back([GOING_ON, GOING_ON], fired=4)) == 2
    assert _crashes_in_a_row([]) == 0


def _states(client):
    return sorted(task.state.type.value for task in client.read_task_runs())


def _until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.5)
