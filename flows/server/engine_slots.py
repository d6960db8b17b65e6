"""Engine slots: how many stages may hold engines at a time, over all runs of a Prefect server.

A slot that is taken is a variable on the server that names who holds it (**Variables** in Prefect's pages). Creating one is
atomic, it outlives the server, and whoever waits sees when its holder is gone. Prefect's own concurrency limits do not: the
leases of 3.7 live in the server's memory and their count in its database, so a server that is killed leaves slots taken for good.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import VariableCreate, VariableUpdate
from prefect.client.schemas.objects import StateType, Variable
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from flows.server.outage import outlast
from flows.server.processes import lives, registered, this_process

logger = logging.getLogger("synclr")
SLOTS = "synclr-engine-slots"
"""The variable that says how many slots there are. `synclr deploy` sets it; on a server without it nothing is limited."""
SLOT = "synclr-engine-slot-{number}"
POLL_SECONDS = 2.0
AT_WORK = (StateType.RUNNING, StateType.CANCELLING)


def set_slots(client: SyncPrefectClient, slots: int | None) -> None:
    """So many from now on; None leaves the number as it is, and makes it 1 on a server that has none."""
    there = client.read_variable_by_name(SLOTS)
    if there is None:
        client.create_variable(VariableCreate(name=SLOTS, value=slots or 1))
    elif slots is not None:
        client.update_variable(VariableUpdate(name=SLOTS, value=slots))


@contextmanager
def engine_slot(run: str, stage: str, waits: Callable[[str], None]) -> Iterator[None]:
    """Hold a slot for the block, after waiting for one: `waits` hears who holds it, and an empty text when the wait is over."""
    told = ""
    try:
        while isinstance(slot := outlast(lambda: _take(run, stage)), str):
            if slot != told:
                told = slot
                waits(f"waits for the engine slot that {told}")
            time.sleep(POLL_SECONDS)
    finally:
        if told:
            waits("")
    try:
        yield
    finally:
        if slot is not None:
            _let_go(slot)


def free_slots() -> int:
    """Free what nobody holds any more, which a waiting stage would do by itself; returns how many those were."""
    freed = 0
    with get_client(sync_client=True) as client:
        for number in range(1, _count(client) + 1):
            slot = client.read_variable_by_name(SLOT.format(number=number))
            if slot is not None and not _is_held(client, slot.value):
                _delete(client, slot)
                freed += 1
    return freed


def _take(run: str, stage: str) -> Variable | str | None:
    """The slot that is ours now; or, in words, who holds the first; or None where nothing is limited."""
    held: Variable | str | None = None
    with get_client(sync_client=True) as client:
        for number in range(1, _count(client) + 1):
            name = SLOT.format(number=number)
            slot = client.read_variable_by_name(name)
            if slot is not None and _is_ours(slot.value):  # the answer to our request was lost
                return slot
            if slot is not None and not _is_held(client, slot.value):
                _delete(client, slot)
                slot = None
            if slot is None:
                with suppress(ObjectAlreadyExists):
                    return client.create_variable(VariableCreate(name=name, value=_holder(run, stage)))
            held = held or _described(slot)
    return held


def _count(client: SyncPrefectClient) -> int:
    there = client.read_variable_by_name(SLOTS)
    return there.value if there is not None and isinstance(there.value, int) else 0


def _holder(run: str, stage: str) -> dict[str, Any]:
    said = {"run": run, "stage": stage, "since": datetime.now(UTC).isoformat(timespec="seconds")}
    me = registered()
    of_run = {"flow_run": str(me.id), "try": me.run_count} if me else {}
    return said | {"process": this_process()} | of_run


def _is_ours(value: Any) -> bool:
    return isinstance(value, dict) and value.get("process") == this_process()


def _is_held(client: SyncPrefectClient, holder: Any) -> bool:
    """By its process if that was on this host, which is certain; else by what the server knows of its run."""
    if not isinstance(holder, dict):  # a person may have written anything
        return False
    here = lives(holder.get("process"))
    if here is not None or "flow_run" not in holder:
        return here is True
    try:
        run = client.read_flow_run(holder["flow_run"])
    except ObjectNotFound:
        return False
    return run.state_type in AT_WORK and run.run_count == holder.get("try")


def _described(slot: Variable | None) -> str:
    if slot is None or not isinstance(slot.value, dict):
        return "another run took just now"
    said = {"run": "?", "stage": "?", "since": "?"} | slot.value
    with suppress(ValueError, TypeError):  # a person may have written anything
        said["since"] = f"{datetime.fromisoformat(said['since']).astimezone(UTC):%H:%M} UTC"
    return f"run {said['run']} holds for {said['stage']} since {said['since']}"


def _let_go(slot: Variable) -> None:
    try:
        with get_client(sync_client=True) as client:
            _delete(client, slot)
    except (
        httpx.HTTPError
    ) as error:  # whoever waits frees it when this process has ended; the next stage of this run has it
        logger.warning("the engine slot %s could not be let go of: %r", slot.name, error)


def _delete(client: SyncPrefectClient, slot: Variable) -> None:
    """By its id: by its name it might be another's already."""
    try:
        client.request("DELETE", "/variables/{id}", path_params={"id": slot.id})
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.NOT_FOUND:
            raise
