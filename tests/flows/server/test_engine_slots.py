"""As many stages hold engines as there are slots; a slot outlives its server, and none outlives its holder."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.schemas.actions import VariableCreate
from prefect.client.schemas.objects import StateType
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Running

from flows.server import engine_slots
from flows.server.engine_slots import SLOT, SLOTS, engine_slot, free_slots, set_slots
from flows.server.processes import this_process
from flows.server.run_states import AWAITING_ENGINE_SLOT, show_waiting

pytestmark = pytest.mark.slow(20)
HERE = socket.gethostname()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(engine_slots, "POLL_SECONDS", 0.1)


def taken(client):
    return sorted(each.name for each in client.read_variables() if each.name.startswith("synclr-engine-slot-"))


def held_by(client, number=1, **holder):
    told = {"run": "other", "stage": "images", "since": datetime.now(UTC).isoformat()} | holder
    client.create_variable(VariableCreate(name=SLOT.format(number=number), value=told))


def test_a_server_that_has_none_limits_nothing(client):
    with engine_slot("tiny", "captions", pytest.fail):
        assert taken(client) == []


def test_the_number_is_kept_unless_another_is_named(client):
    for asked, there in ((None, 1), (3, 3), (None, 3), (2, 2)):
        set_slots(client, asked)
        assert client.read_variable_by_name(SLOTS).value == there


def test_a_slot_is_held_for_the_block_alone(client):
    set_slots(client, 1)
    for error in (None, ZeroDivisionError()):
        try:
            with engine_slot("tiny", "captions", pytest.fail):
                assert taken(client) == ["synclr-engine-slot-1"]
                if error:
                    raise error
        except ZeroDivisionError:
            pass
        assert taken(client) == []


def test_at_no_time_are_more_at_work_than_there_are_slots(client, server, monkeypatch):
    """Eight who ask at once, as processes of their own would: each claims under a name of its own."""
    set_slots(client, 2)
    at_work, most, gate = [], [], threading.Lock()
    who = threading.local()
    monkeypatch.setattr(engine_slots, "this_process", lambda: who.name)
    monkeypatch.setattr(engine_slots, "lives", lambda _: True)

    def work(number):
        who.name = f"{HERE}:{number}:0"
        with temporary_settings({PREFECT_API_URL: server}):
            for _ in range(3):
                with engine_slot(f"run-{number}", "captions", lambda _: None):
                    with gate:
                        at_work.append(number)
                        most.append(len(at_work))
                    time.sleep(0.02)
                    with gate:
                        at_work.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(most) == 24 and max(most) <= 2 and taken(client) == []


def test_who_waits_hears_for_whom_and_since_when_and_goes_on_when_that_is_gone(client):
    set_slots(client, 1)
    run = client.create_flow_run(flow(lambda: None, name="synclr"), state=Running())
    since = "2026-11-30T07:31:02+00:00"
    held_by(client, process="elsewhere:1:0", flow_run=str(run.id), since=since, **{"try": 1})
    heard = []

    def end(text):
        heard.append(text)
        client.set_flow_run_state(run.id, Completed(), force=True)

    with engine_slot("tiny", "captions", end):
        assert client.read_variable_by_name(SLOT.format(number=1)).value["run"] == "tiny"
    assert heard == ["waits for the engine slot that run other holds for images since 07:31 UTC", ""]


def test_a_wait_is_a_state_of_its_own_until_it_is_over(client):
    run = client.create_flow_run(flow(lambda: None, name="captions"), state=Running())
    for text, name in (("waits for the engine slot that run other holds", AWAITING_ENGINE_SLOT), ("", "Running")):
        show_waiting(run.id, text)
        state = client.read_flow_run(run.id).state
        assert (state.name, state.type) == (name, StateType.RUNNING) and text in state.message


@pytest.mark.parametrize(
    ("holder", "is_held"),
    [
        ({"process": this_process()}, True),
        ({"process": f"{HERE}:1:0"}, False),  # of this host, and gone
        ({"process": "elsewhere:1:0", "flow_run": str(uuid4()), "try": 1}, False),  # deleted
        ({"process": "elsewhere:1:0", "flow_run": "running", "try": 1}, True),
        ({"process": "elsewhere:1:0", "flow_run": "running", "try": 0}, False),  # it is tried again
        ({"process": "elsewhere:1:0", "flow_run": "ended", "try": 1}, False),
    ],
)
def test_a_slot_is_freed_once_its_holder_is_known_to_be_gone(client, holder, is_held):
    runs = {
        name: str(client.create_flow_run(flow(lambda: None, name="synclr"), state=state).id)
        for name, state in (("running", Running()), ("ended", Completed()))
    }
    set_slots(client, 1)
    held_by(
        client,
        **holder | ({"flow_run": runs.get(holder["flow_run"], holder["flow_run"])} if "flow_run" in holder else {}),
    )
    assert free_slots() == (not is_held)
    assert bool(taken(client)) == is_held


def test_two_who_find_a_slot_given_up_do_not_both_have_it(client):
    """The slower deletes what it has seen, and not what the quicker has made since."""
    set_slots(client, 1)
    held_by(client, process=f"{HERE}:1:0")
    seen = client.read_variable_by_name(SLOT.format(number=1))
    with engine_slot("quicker", "captions", pytest.fail):
        engine_slots._delete(client, seen)
        assert client.read_variable_by_name(SLOT.format(number=1)).value["run"] == "quicker"
