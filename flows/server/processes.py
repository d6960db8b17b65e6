"""Which process works on a flow run, and whether it is still there: labels that a run writes and whoever looks later reads."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import Abort

from tasks.processes import status_fields

PROCESS = "synclr.process"
TRY = "synclr.try"
"""A run that is tried again is RUNNING before its new process can say so: a label is true of the try that wrote it."""


@dataclass(frozen=True, slots=True)
class Registered:
    """The flow run that this process works on."""

    id: UUID
    run_count: int


_registered: list[Registered] = []
"""Of this process, the newest last: a test or `synclr reproduce` may work on several, one after the other."""


def register(client: SyncPrefectClient, flow_run_id: UUID) -> None:
    """Note on a flow run that this process works on it, from its present try on.

    Raises Prefect's Abort, which ends this process quietly, if another process of this host still works on it: a server that was
    away, or a machine that slept, takes a run for crashed that is not.
    """
    run = client.read_flow_run(flow_run_id)
    other = run.labels.get(PROCESS)
    if other != this_process() and lives(other):
        client.update_flow_run_labels(flow_run_id, {TRY: run.run_count})
        raise Abort(f"process {other} works on this run already")
    client.update_flow_run_labels(flow_run_id, {PROCESS: this_process(), TRY: run.run_count})
    _registered.append(Registered(flow_run_id, run.run_count))


def registered() -> Registered | None:
    return _registered[-1] if _registered else None


def this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{process_start_ticks(os.getpid())}"


def lives(process: Any) -> bool | None:
    """Whether a process, as `this_process` names it, is there; None if it is another host's, which nobody here can know."""
    host, pid, ticks = str(process or "::").rsplit(":", 2)
    if host != socket.gethostname():
        return None
    return process_start_ticks(int(pid)) == ticks


def is_gone(run: FlowRun) -> bool:
    """Whether the process of this try of a run is known to be gone: only what ran on this host can be."""
    return run.labels.get(TRY) == run.run_count and lives(run.labels.get(PROCESS)) is False


def is_begun_here(flow_run_id: UUID) -> bool:
    """Whether a process of this host was started for the run, though it may not have said so yet (it is importing)."""
    told = f"PREFECT__FLOW_RUN_ID={flow_run_id}".encode()
    return any(told in _environment(folder).split(b"\0") for folder in Path("/proc").glob("[0-9]*"))


def _environment(folder: Path) -> bytes:
    try:
        return (folder / "environ").read_bytes()
    except OSError:  # it has ended, or is another user's
        return b""


def process_start_ticks(pid: int) -> str:
    """The start time in the kernel's ticks: process numbers are used again. Empty if there is none, or it is a zombie."""
    try:
        state, *fields = status_fields(pid)
    except OSError:
        return ""
    return "" if state == "Z" else fields[18]
