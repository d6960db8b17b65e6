"""Processes end with whoever started them, also where they are frozen, and nothing that they started stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tasks.processes import kill_group, state

ROOT = Path(__file__).parents[2]
FROZEN_CHILD = """
import signal, subprocess, sys
from tasks.processes import end_with_starter
child = subprocess.Popen(["sleep", "600"], preexec_fn=lambda: end_with_starter(signal.SIGKILL))
child.send_signal(signal.SIGSTOP)
print(child.pid, flush=True)
signal.pause()
"""


def gone(pid: int, seconds: float = 30) -> bool:
    until = time.monotonic() + seconds
    while state(pid) != "gone" and time.monotonic() < until:
        time.sleep(0.05)
    return state(pid) == "gone"


def test_a_frozen_process_ends_with_the_one_that_started_it():
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, "-c", FROZEN_CHILD], env=environment, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert gone(child)


def test_a_group_ends_whole_and_a_process_without_one_alone():
    leader = subprocess.Popen(["bash", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE, text=True,
                              start_new_session=True)  # fmt: skip
    assert leader.stdout
    child = int(leader.stdout.readline())
    alone = subprocess.Popen(["sleep", "600"])
    for process in (leader, alone):
        kill_group(process.pid)
        assert process.wait(30) == -signal.SIGKILL
        kill_group(process.pid)  # it is gone
    assert gone(child)


def test_all_that_was_started_ends_with_what_that_has_started():
    script = (
        "import subprocess, sys\n"
        "from tasks.processes import kill_descendants\n"
        "child = subprocess.Popen(['bash', '-c', 'setsid sleep 600 & echo $!; kill -STOP $$'], stdout=-1, text=True)\n"
        "grandchild = child.stdout.readline().strip()\n"
        "print(grandchild, child.pid, kill_descendants())\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    grandchild, child, left = done.stdout.split(maxsplit=2)
    assert left.strip() == "[]" and gone(int(child)) and gone(int(grandchild)), done.stderr


def test_the_kernel_says_how_a_process_is():
    process = subprocess.Popen(["sleep", "600"])
    try:
        process.send_signal(signal.SIGSTOP)
        until = time.monotonic() + 30
        while state(process.pid) != "stopped by a signal" and time.monotonic() < until:
            time.sleep(0.01)
        assert state(process.pid) == "stopped by a signal"
    finally:
        process.kill()
        process.wait()
    assert state(process.pid) == "gone"
