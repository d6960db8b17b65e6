"""An engine's process is loaded once, serves many calls, is started anew after a crash, and ends with its parent."""

import atexit
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_specs.errors import EngineError, SpecError, StoppedError
from data_specs.specs.images import ImagesSpec
from data_specs.specs.run import ExecutionSpec
from tasks.engines import EngineProcess, Watch, engine_threads, loaded
from tasks.events import Advanced, Alive, ignore
from tasks.processes import state

ROOT = Path(__file__).parents[2]


def _pid(*, emit=ignore):
    return os.getpid()


def _number(text, *, emit):
    return int(text)


def _exit(code, *, emit):
    os._exit(code)


def _sleep(seconds, *, emit):
    time.sleep(seconds)


def _system(command, *, emit):
    return os.system(command)


def test_calls_share_one_process_that_is_not_this_one():
    with EngineProcess(1) as engine:
        pids = {engine.call(_pid) for _ in range(3)}
    assert len(pids) == 1 and os.getpid() not in pids


def test_the_process_and_so_its_gpu_memory_is_gone_when_the_stage_ends():
    with EngineProcess(1) as engine:
        pid = engine.call(_pid)
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()


def test_an_engine_with_nothing_to_do_tidies_before_it_ends(tmp_path):
    with EngineProcess(1) as engine:
        engine.call(_tidy_later, tmp_path / "tidied")
    assert (tmp_path / "tidied").exists()


def _tidy_later(path, *, emit):
    atexit.register(path.touch)


def test_what_a_call_raises_is_raised_here():
    with EngineProcess(1) as engine, pytest.raises(ValueError, match="invalid literal"):
        engine.call(_number, "x")


def test_a_process_that_dies_is_an_engine_error_and_the_next_call_starts_another():
    with EngineProcess(1) as engine:
        first = engine.call(_pid)
        with pytest.raises(EngineError, match="died"):
            engine.call(_exit, 9)
        assert engine.call(_pid) != first


@pytest.mark.parametrize(("error", "anew"), [(EngineError, True), (SpecError, False)])
def test_after_a_failure_of_the_engine_the_next_call_starts_another_and_after_a_wrong_request_not(error, anew):
    with EngineProcess(1) as engine:
        first = engine.call(_pid)
        with pytest.raises(error):
            engine.call(_raise, error)
        assert (engine.call(_pid) != first) == anew
        assert Path(f"/proc/{first}").exists() != anew


def _raise(error, *, emit):
    raise error("planted")


def test_what_a_child_emits_arrives_while_the_call_lasts_and_all_of_it_before_it_returns():
    heard = []
    with EngineProcess(1) as engine:
        engine.call(_emit, 300, emit=lambda event: heard.append((event, time.monotonic())))
        returned = time.monotonic()
    assert [event for event, _ in heard] == [Advanced("run", "images", number, "x" * 100) for number in range(300)]
    assert heard[0][1] < returned - 1


def _emit(count, *, emit):
    for number in range(count):
        emit(Advanced("run", "images", number, "x" * 100))
        if number == 0:
            time.sleep(2)


@pytest.mark.parametrize("after", [0.0, 0.002, 0.02, 0.5])
def test_ctrl_c_while_an_engine_starts_ends_it_too(after):
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt), EngineProcess(1) as engine:
            call = pool.submit(engine.call, _sleep, 120)
            time.sleep(after)
            raise KeyboardInterrupt
        with pytest.raises(StoppedError):
            call.result()
        assert time.monotonic() - began < 60


@pytest.mark.parametrize("after", [0.0, 1.0])
def test_a_frozen_engine_and_all_that_it_started_are_gone_within_seconds_of_ctrl_c(tmp_path, after):
    """A process that is stopped hears no SIGTERM, and neither does one that a driver holds."""
    log = tmp_path / "log"
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(KeyboardInterrupt), EngineProcess(1, log) as engine:
            call = pool.submit(engine.call, _freeze)
            until = time.monotonic() + 60
            while len(log.read_text().split() if log.exists() else ()) < 2 and time.monotonic() < until:
                time.sleep(0.05)
            time.sleep(after)
            began = time.monotonic()
            raise KeyboardInterrupt
        with pytest.raises(StoppedError):
            call.result()
        assert time.monotonic() - began < 5
    pids = [int(pid) for pid in log.read_text().split()]
    while any(state(pid) != "gone" for pid in pids):
        assert time.monotonic() - began < 10, "SIGKILL is obeyed when the kernel comes to it"
        time.sleep(0.05)


def _freeze(*, emit):
    print(os.getpid(), subprocess.Popen(["sleep", "600"]).pid, flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)


def test_an_engine_without_a_sign_of_life_is_told_again_and_again_and_goes_on():
    told = []
    with EngineProcess(1, watch=Watch(0.6, False, told.append)) as engine:
        first = engine.call(_pid)
        del told[:]  # of its start
        engine.call(_sleep, 2.2)
        assert engine.call(_pid) == first
    assert 2 <= len(told) <= 3
    assert told[0] == (
        f"an engine has given no sign of life for 0.6 s: _sleep in process {first}, which is waiting; "
        "execution.replace_silent=true replaces such ones"
    )


def test_events_and_what_its_caller_sees_are_signs_of_life_and_only_events_to_be_shown_are_passed_on():
    told, heard = [], []
    with EngineProcess(1, watch=Watch(0.6, False, told.append)) as engine, ThreadPoolExecutor(1) as pool:
        engine.call(_pid)
        del told[:]
        engine.call(_tell_for, 1.2, emit=heard.append)
        call = pool.submit(engine.call, _sleep, 1.2)
        while not call.done():
            engine.alive()
            time.sleep(0.05)
    assert told == [] and heard == []


def _tell_for(seconds, *, emit):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        emit(Alive("run", "images"))
        time.sleep(0.1)


def test_a_silent_engine_is_replaced_where_that_is_wished_for():
    with EngineProcess(1, watch=Watch(1.5, True, pytest.fail)) as engine:
        with pytest.raises(
            EngineError, match=r"no sign of life for 1.5 s: _freeze in process \d+, which is stopped by"
        ):
            engine.call(_freeze)
        assert engine.call(_number, "3") == 3


def test_a_killed_parent_takes_a_frozen_engine_along(tmp_path):
    assert _parent_killed(tmp_path, "os.kill(os.getpid(), signal.SIGSTOP)")


def test_what_an_engine_prints_goes_to_its_log(tmp_path):
    log = tmp_path / "logs" / "engine.log"
    with EngineProcess(1, log) as engine:
        engine.call(_system, "echo out; echo err >&2")
    assert log.read_text().split() == ["out", "err"]


def test_an_engine_is_built_once_per_spec_and_only_one_is_kept():
    built = []

    def build(spec):
        built.append(spec.steps)
        return object()

    one, two = ImagesSpec(steps=1), ImagesSpec(steps=2)
    assert loaded(build, one) is loaded(build, ImagesSpec(steps=1))
    loaded(build, two)
    loaded(build, one)
    assert built == [1, 2, 1]


def test_a_spec_error_inside_the_process_keeps_its_kind():
    with EngineProcess(1) as engine, pytest.raises(SpecError, match="nothing"):
        engine.call(_refuse)


def _refuse(*, emit):
    raise SpecError("nothing to do")


INTERRUPTED = """
import _thread, multiprocessing, sys, threading, time
from pathlib import Path
from tasks.engines import EngineProcess

locks = []

def work(started, *, emit):
    locks.append(multiprocessing.get_context("spawn").Lock())  # as loader workers and vLLM have them
    Path(started).write_text(locks[0]._semlock.name)
    time.sleep(600)

def interrupt(started):
    while not (started.exists() and started.read_text()):
        time.sleep(0.05)
    _thread.interrupt_main()

if __name__ == "__main__":
    started = Path(sys.argv[1])
    threading.Thread(target=interrupt, args=(started,), daemon=True).start()
    try:
        with EngineProcess(1) as engine:
            engine.call(work, str(started))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
"""


def test_an_engine_that_ctrl_c_ends_leaves_no_semaphore_and_no_word_of_it(tmp_path):
    script, started = tmp_path / "interrupted.py", tmp_path / "started"
    script.write_text(INTERRUPTED)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, script, started], env=environment, capture_output=True, text=True, timeout=120
    )
    assert (done.stderr, done.returncode) == ("stopped\n", 0)
    left = Path("/dev/shm") / f"sem.{started.read_text().removeprefix('/')}"
    until = time.monotonic() + 20  # the process that removes it outlives the program by a moment
    while left.exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not left.exists()


def test_a_killed_parent_takes_its_engine_along(tmp_path):
    assert _parent_killed(tmp_path, "time.sleep(120)")


def _parent_killed(folder, work):
    """Whether an engine at `work` is gone after its parent was killed."""
    script = (
        "import os, signal, time\n"
        "from tasks.engines import EngineProcess\n"
        "def work(*, emit):\n"
        "    print(os.getpid(), flush=True)\n"
        f"    {work}\n"
        "if __name__ == '__main__':\n"
        "    with EngineProcess(1) as engine:\n"
        "        engine.call(work)\n"
    )
    (folder / "parent.py").write_text(script)
    parent = subprocess.Popen(
        [sys.executable, folder / "parent.py"], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    child = int(parent.stdout.readline())
    time.sleep(0.5)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 60
    while state(child) != "gone" and time.monotonic() < until:
        time.sleep(0.1)
    return state(child) == "gone"


@pytest.mark.parametrize(
    ("execution", "engines", "threads"),
    [({"workers": 2}, 17, 4), ({"workers": 2}, 1, 8), ({"workers": 2, "threads": 3}, 17, 3), ({"workers": 16}, 99, 1)],
)
def test_an_engines_threads_follow_from_the_recipe_alone(monkeypatch, execution, engines, threads):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert engine_threads(ExecutionSpec(**execution), engines) == threads
