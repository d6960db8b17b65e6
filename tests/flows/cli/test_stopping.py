"""A signal ends a command within seconds, whatever hangs in it, with one line and nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.processes import state

ROOT = Path(__file__).parents[3]
SCRIPT = """
import signal, subprocess, sys, time
from flows.cli import app, stopping

def in_order():
    try:
        signal.pause()
    finally:
        time.sleep(0.3)
        print("tidied", flush=True)

def hanging():  # what it has started does not hear of its end, and it tidies for ever
    try:
        signal.pause()
    finally:
        time.sleep(600)

def deaf():  # the main thread never comes back to Python
    import ctypes
    lock, mutex = ctypes.CDLL(None).pthread_mutex_lock, ctypes.create_string_buffer(64)
    lock(mutex)
    lock(mutex)

def failing():  # what is broken off fails
    try:
        signal.pause()
    finally:
        raise OSError("the server is gone")

child = subprocess.Popen(["sleep", "600"], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
child.send_signal(signal.SIGSTOP)
print(child.pid, flush=True)
stopping.stopped_by_signals.__wrapped__.__defaults__ = (1.5,)
app.app = lambda standalone_mode: globals()[sys.argv[1]]()
app.main()
"""
LINE = "stopped{}; what is sealed stays, the same command goes on\n"


def started(what, *, ready=None):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, what], env=environment, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, preexec_fn=ready)  # fmt: skip
    child = int(process.stdout.readline())
    time.sleep(0.5)  # until it waits
    return process, child


SAID = {
    signal.SIGINT: (130, ""),
    signal.SIGTERM: (143, " by SIGTERM"),
    signal.SIGHUP: (129, " by SIGHUP: its terminal is gone"),
}


# What is waited for costs two seconds each time: a signal of its own for each, and all signals for what ends in order.
@pytest.mark.parametrize(
    ("what", "sent"),
    [
        *(("in_order", each) for each in SAID),
        ("hanging", signal.SIGINT),
        ("deaf", signal.SIGTERM),
        ("failing", signal.SIGHUP),
    ],
)
def test_a_signal_is_one_line_and_its_code(what, sent):
    code, by = SAID[sent]
    process, child = started(what)
    try:
        began = time.monotonic()
        for _ in range(3):  # a person presses it again
            process.send_signal(sent)
            time.sleep(0.05)
        out, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (code, "synclr: " + LINE.format(by))
        assert time.monotonic() - began < 10
        assert out == ("tidied\n" if what == "in_order" else "")
        assert what not in ("hanging", "deaf") or state(child) == "gone", "a frozen child was left behind"
    finally:
        process.kill()
        subprocess.run(["kill", "-9", str(child)], capture_output=True)


def test_a_hang_up_that_nohup_has_taken_away_stops_nothing():
    def nohup():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process, child = started("in_order", ready=nohup)
    try:
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    finally:
        process.kill()
        subprocess.run(["kill", "-9", str(child)], capture_output=True)
