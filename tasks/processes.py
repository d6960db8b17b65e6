"""Processes that end: with whoever started them, with all that they started, and within seconds."""

import ctypes
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
GONE = (FileNotFoundError, ProcessLookupError)
"""What is raised about a process that ends meanwhile."""
KILL_SECONDS = 2.0
"""After SIGKILL a process is gone at once, unless the kernel holds it: a driver or a network file system that hangs."""

ENDED = "gone"
STATES = {
    "R": "computing",
    "S": "waiting",
    "D": "held by the kernel, which waits for a disk, a network file system or a driver",
    "T": "stopped by a signal",
    "t": "stopped by a debugger",
    "Z": ENDED,
}


def end_with_starter(number: signal.Signals) -> None:
    """From now on the kernel sends this process `number` when the thread that started it ends, however that ends (Linux).

    A process that is frozen is ended so too, which no thread of its own could do.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


def kill_group(pid: int) -> None:
    """SIGKILL to a process, and to its group if it leads one. It may be gone."""
    with suppress(*GONE):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)


def kill_descendants() -> list[int]:
    """SIGKILL to all that this process has started, and they in turn; returns what the kernel does not let go of."""
    until = time.monotonic() + KILL_SECONDS
    while left := _descendants(os.getpid()):
        for pid in left:
            with suppress(*GONE):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > until:
            return left
        time.sleep(0.05)
    return []


def state(pid: int) -> str:
    """How the kernel shows a process, in words for a person."""
    with suppress(*GONE):
        letter = status_fields(pid)[0]
        return STATES.get(letter, f"in state {letter}")
    return ENDED


def _descendants(pid: int) -> list[int]:
    """Living ones: what has ended and waits to be fetched is left out."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(*GONE):
            letter, parent = status_fields(int(folder.name))[:2]
            if letter != "Z":
                children.setdefault(int(parent), []).append(int(folder.name))
    found, waiting = list[int](), [pid]
    while waiting:
        here = children.get(waiting.pop(), [])
        found += here
        waiting += here
    return found


def status_fields(pid: int) -> list[str]:
    """State, parent and what follows in /proc/PID/stat. Raises OSError if there is no such process."""
    # The name before may hold anything, brackets too.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
