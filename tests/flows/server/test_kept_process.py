"""What is kept is started again when somebody kills it, and given up when it ends by itself again and again."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from data_specs.errors import EngineError
from flows.server.kept_process import MOST_SHORT_LIVES, KeptProcess, stop


def kept(tmp_path, program):
    return KeptProcess("thing", [sys.executable, "-c", program], os.environ, tmp_path / "log")


def ended(process):
    process._process.wait(timeout=60)
    return process.code


def test_one_that_is_killed_is_started_again_however_often(tmp_path):
    process = kept(tmp_path, "import time; time.sleep(600)")
    for _ in range(MOST_SHORT_LIVES + 2):
        process.start()
        assert process.code is None
        os.kill(process._process.pid, signal.SIGKILL)
        assert ended(process) == -signal.SIGKILL
    process.stop()


def test_one_that_ends_at_once_by_itself_is_given_up(tmp_path):
    process = kept(tmp_path, "print('no such pool'); raise SystemExit(3)")
    for _ in range(MOST_SHORT_LIVES):
        process.start()
        assert ended(process) == 3
    with pytest.raises(EngineError, match=f"ended at once with code 3, 3 times; see {tmp_path}/log"):
        process.start()
    assert (tmp_path / "log").read_text() == "no such pool\n" * 3


def test_what_a_worker_leaves_behind_when_it_ends_is_ended_too():
    # Deaf to what it is asked: a child that is only stopped would be ended by the kernel when its session loses its leader.
    deaf = "(trap '' TERM HUP; echo $BASHPID; exec sleep 600) & wait"
    shell = f"trap 'exit 0' TERM; {deaf}"
    leader = subprocess.Popen(["bash", "-c", shell], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert leader.stdout
    left = psutil.Process(int(leader.stdout.readline()))
    stop(leader)
    assert leader.returncode == 0
    psutil.wait_procs([left], timeout=60)
    assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE
