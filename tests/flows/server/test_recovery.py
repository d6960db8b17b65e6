"""What was killed is not shown running for ever, and does not come back for ever."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from prefect import flow, task
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import AwaitingRetry, Cancelled, Cancelling, Completed, Crashed, Pending, Running

from flows.server import recovery
from flows.server.processes import PROCESS, TRY, is_gone, register, this_process
from flows.server.recovery import GOING_ON, LOOP, MOST_CRASHES, NOT_STARTED, _crashes_in_a_row, recover

ROOT = Path(__file__).parents[3]
HANGING = """
import time
from prefect import flow, task
from flows.server.recovery import begin

@task
def bundle():
    print("hangs", flush=True)
    time.sleep(600)

@flow
def captions():
    bundle.submit().result()

@flow
def synclr():
    begin()
    captions()

synclr()
"""


@pytest.fixture
def at_once(monkeypatch):
    """Nothing is waited for: what is said of a run is final."""
    for patience in ("SETTLED", "REPORTED", "CLAIMED", "CLAIMED_ELSEWHERE"):
        monkeypatch.setattr(recovery, patience, timedelta(0))


@pytest.fixture
def deployment(client):
    """Of a flow of ours; nobody serves it."""
    return client.create_deployment(client.create_flow(flow(lambda: None, name="synclr")), "run", tags=["synclr"])


@pytest.mark.slow(20)
def test_a_killed_run_its_stage_and_its_bundles_are_marked_and_a_living_one_is_not(server, client):
    environment = os.environ | {"PREFECT_API_URL": server, "PYTHONPATH": str(ROOT)}
    killed, living = (
        subprocess.Popen([sys.executable, "-c", HANGING], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    )
    try:
        assert "hangs" in killed.stdout.readline() and "hangs" in living.stdout.readline()
        _until(lambda: len(_task_runs(client)) == 4)  # two bundles, two nodes that stand for stages
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


@pytest.mark.slow(20)
def test_a_task_whose_end_is_not_written_down_yet_is_left_alone_for_a_while(client, monkeypatch):
    run = _run_of(client, "synclr", {PROCESS: this_process()})
    client.create_task_run(task(lambda: None, name="seal"), run.id, "seal-0", state=Running())
    assert recover() == 0, "the run is at work"
    client.set_flow_run_state(run.id, Completed(), force=True)
    assert recover() == 0 and _states(client) == ["RUNNING"]
    monkeypatch.setattr(recovery, "SETTLED", timedelta(0))
    assert recover() == 1 and _states(client) == ["CRASHED"]


@pytest.mark.slow(20)
def test_other_peoples_runs_are_left_alone(client, at_once):
    """A flow of theirs may bear the name of one of ours: it has not the label, and its deployment not the tag."""
    for name in ("captions", "theirs", "synclr"):
        run = _run_of(client, name, {})
        client.create_task_run(task(lambda: None, name="work"), run.id, "work-0", state=Running())
        client.set_flow_run_state(run.id, Crashed(), force=True)
        theirs = client.create_deployment(client.create_flow(flow(lambda: None, name=name)), "theirs")
        for state in (Crashed(), Pending(), Running()):
            client.create_flow_run_from_deployment(theirs, state=state)
    before = _everything(client)
    assert recover() == 0 and _everything(client) == before


@pytest.mark.slow(20)
def test_a_crashed_run_is_put_back_until_it_has_crashed_too_often(client, deployment, at_once):
    run = client.create_flow_run_from_deployment(deployment)
    for _ in range(MOST_CRASHES):
        client.set_flow_run_state(run.id, Running(), force=True)
        client.set_flow_run_state(run.id, Crashed(), force=True)
        assert recover() == 1
        state = client.read_flow_run(run.id).state
        assert (state.name, state.message) == ("AwaitingRetry", GOING_ON)
        assert recover() == 0
    client.set_flow_run_state(run.id, Running(), force=True)
    client.set_flow_run_state(run.id, Crashed(), force=True)
    assert recover() == 1
    state = client.read_flow_run(run.id).state
    assert state.is_failed() and "crashed 4 times in a row" in state.message


@pytest.mark.slow(20)
def test_a_run_that_a_worker_claimed_and_did_not_start_is_offered_again(client, deployment, monkeypatch):
    run = client.create_flow_run_from_deployment(deployment, state=Pending())
    assert recover() == 0, "its worker may be starting it"
    monkeypatch.setattr(recovery, "CLAIMED", timedelta(0))
    with _begun_for(run):
        assert recover() == 0, "its process imports"
    assert recover() == 1
    assert client.read_flow_run(run.id).state.message == NOT_STARTED


@pytest.mark.slow(20)
def test_a_run_whose_process_ended_before_it_could_say_so_is_marked(client, deployment, at_once):
    run = client.create_flow_run_from_deployment(deployment, state=Running())
    with _begun_for(run):
        assert recover() == 0
    assert recover() == 2, "crashed, and put back"
    assert client.read_flow_run(run.id).state_name == "AwaitingRetry"


@pytest.mark.slow(20)
def test_a_cancelled_run_whose_process_is_gone_is_cancelled(client):
    run = _run_of(client, "synclr", {PROCESS: f"{socket.gethostname()}:1:0", TRY: 1})
    client.set_flow_run_state(run.id, Cancelling(), force=True)
    assert recover() == 1 and client.read_flow_run(run.id).state_type == StateType.CANCELLED


@pytest.mark.slow(20)
def test_a_run_that_was_silent_and_lives_is_shown_running_and_its_second_process_ends(client, deployment, at_once):
    run = client.create_flow_run_from_deployment(deployment, state=Running())
    register(client, run.id)
    client.set_flow_run_state(run.id, Crashed(message="no heartbeat"), force=True)
    assert recover() == 1
    run = client.read_flow_run(run.id)
    assert run.state_type == StateType.RUNNING and run.labels[TRY] == run.run_count
    assert recover() == 0
    second = (
        "import sys; from prefect.client.orchestration import get_client\n"
        "from prefect.exceptions import Abort; from flows.server.processes import register\n"
        f"with get_client(sync_client=True) as client:\n  try: register(client, '{run.id}')\n  except Abort: sys.exit(7)"
    )
    environment = os.environ | {"PREFECT_API_URL": str(client.api_url), "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", second], env=environment).returncode == 7
    assert client.read_flow_run(run.id).labels[PROCESS] == this_process()


@pytest.mark.slow(20)
@pytest.mark.parametrize(("ended", "stage_is"), [(Crashed(), "RUNNING"), (Cancelled(), "CANCELLING")])
def test_a_stage_with_a_worker_of_its_own_outlives_its_run_unless_that_was_cancelled(
    client, deployment, at_once, ended, stage_is
):
    whole = _run_of(client, "synclr-by-stage", {PROCESS: this_process()})
    stands = client.create_task_run(task(lambda: None, name="captions"), whole.id, "captions-0", state=Running())
    stage = client.create_flow_run_from_deployment(deployment, state=Running(), parent_task_run_id=stands.id)
    register(client, stage.id)
    client.set_flow_run_state(whole.id, ended, force=True)
    recover()
    assert client.read_flow_run(stage.id).state_type.value == stage_is


@pytest.mark.slow(20)
def test_a_run_that_is_deleted_meanwhile_ends_no_look(client, deployment, at_once, monkeypatch):
    gone, left = (client.create_flow_run_from_deployment(deployment, state=Crashed()) for _ in range(2))
    found = recovery._runs(client, [StateType.CRASHED], deployed=True)
    client.delete_flow_run(gone.id)
    monkeypatch.setattr(recovery, "_runs", lambda _client, types, **_: found if types == [StateType.CRASHED] else [])
    assert recover() == 1 and client.read_flow_run(left.id).state_name == "AwaitingRetry"


def test_a_server_that_is_away_ends_no_look(caplog):
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert recover() == 0
    assert "could not be looked after" in caplog.text


def test_a_run_that_is_tried_again_is_not_judged_by_the_process_of_the_try_before():
    dead = {PROCESS: f"{socket.gethostname()}:1:0", TRY: 1}
    assert is_gone(FlowRun(flow_id=uuid4(), labels=dead, run_count=1))
    assert not is_gone(FlowRun(flow_id=uuid4(), labels=dead, run_count=2))
    assert not is_gone(FlowRun(flow_id=uuid4(), labels={}, run_count=1))
    elsewhere = {PROCESS: "another-host:1:0", TRY: 1}
    assert not is_gone(FlowRun(flow_id=uuid4(), labels=elsewhere, run_count=1))


def test_crashes_count_until_a_person_retries_or_a_try_lasts():
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def states(*messages, fired=1, lasted=timedelta(minutes=1)):
        """Each try lasted so long, crashed, and was put back with a message; two who look may do so at once."""
        now, told = start, []
        for message in messages:
            for state in (Running(), Crashed(), *[AwaitingRetry(message=message)] * fired):
                told.append(state.model_copy(update={"timestamp": now}))
                now += lasted if state.type == StateType.RUNNING else timedelta(seconds=1)
        return told

    assert _crashes_in_a_row(states(*[GOING_ON] * MOST_CRASHES)) == MOST_CRASHES
    assert _crashes_in_a_row(states(GOING_ON, GOING_ON, "Retry from the UI", GOING_ON)) == 1
    assert _crashes_in_a_row(states(GOING_ON, GOING_ON, fired=4)) == 2
    assert _crashes_in_a_row(states(GOING_ON, GOING_ON)[:-1]) == 2, "the crash at hand counts"
    assert _crashes_in_a_row(states(GOING_ON, NOT_STARTED)) == 2
    assert _crashes_in_a_row(states(GOING_ON, GOING_ON, lasted=LOOP)) == 0
    silent_in_the_queue = [*states(GOING_ON), *states(GOING_ON)[1:]]
    moments = [start + timedelta(seconds=second) for second in range(len(silent_in_the_queue))]
    queued = [s.model_copy(update={"timestamp": at}) for s, at in zip(silent_in_the_queue, moments, strict=True)]
    assert _crashes_in_a_row(queued) == 1
    assert _crashes_in_a_row([]) == 0


def _run_of(client, name, labels):
    run = client.create_flow_run(flow(lambda: None, name=name), state=Running())
    client.update_flow_run_labels(run.id, labels | {"test": 1})
    return client.read_flow_run(run.id)


@contextmanager
def _begun_for(run):
    """A process that was started for a run, and has not said so."""
    told = os.environ | {"PREFECT__FLOW_RUN_ID": str(run.id)}
    process = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], env=told, stdin=-1, stdout=-1)
    try:
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.communicate()


def _everything(client):
    return sorted((str(run.id), run.state_name) for run in [*client.read_flow_runs(), *_task_runs(client)])


def _states(client):
    return sorted(task.state.type.value for task in _task_runs(client))


def _task_runs(client):
    """Of the runs that are there: what an earlier test's run last told of its tasks may arrive when it is gone."""
    runs = {run.id for run in client.read_flow_runs()}
    return [task for task in client.read_task_runs() if task.flow_run_id in runs]


def _until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.5)
