"""An engine's process is loaded once, serves many calls, is started anew after a crash, and ends with its parent."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_specs.errors import EngineError, SpecError
from data_specs.run import ExecutionSpec, ImagesSpec
from tasks.engines import EngineProcess, StoppedError, engine_threads, loaded
from tasks.events import Advanced, listening, tell

ROOT = Path(__file__).parents[2]


def test_calls_share_one_process_that_is_not_this_one():
    with EngineProcess(1) as engine:
        pids = {engine.call(os.getpid) for _ in range(3)}
    assert len(pids) == 1 and os.getpid() not in pids


def test_the_process_and_so_its_gpu_memory_is_gone_when_the_room_ends():
    with EngineProcess(1) as engine:
        pid = engine.call(os.getpid)
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()


def test_what_a_call_raises_is_raised_here():
    with EngineProcess(1) as engine, pytest.raises(ValueError, match="invalid literal"):
        engine.call(int, "x")


def test_a_process_that_dies_is_an_engine_error_and_the_next_call_starts_another():
    with EngineProcess(1) as engine:
        first = engine.call(os.getpid)
        with pytest.raises(EngineError, match="died"):
            engine.call(os._exit, 9)
        assert engine.call(os.getpid) != first


@pytest.mark.parametrize(("error", "anew"), [(EngineError, True), (SpecError, False)])
def test_after_a_failure_of_the_engine_the_next_call_starts_another_and_after_a_wrong_request_not(error, anew):
    with EngineProcess(1) as engine:
        first = engine.call(os.getpid)
        with pytest.raises(error):
            engine.call(_raise, error)
        assert (engine.call(os.getpid) != first) == anew
        assert Path(f"/proc/{first}").exists() != anew


def _raise(error):
    raise error("planted")


def test_what_a_child_tells_is_told_here_while_the_call_lasts_and_all_of_it_before_it_returns():
    told = []
    with EngineProcess(1) as engine, listening(lambda event: told.append((event, time.monotonic()))):
        engine.call(_tell, 300)
        returned = time.monotonic()
    assert [event for event, _ in told] == [Advanced("images", number, "x" * 100) for number in range(300)]
    assert told[0][1] < returned - 1


def _tell(count):
    for number in range(count):
        tell(Advanced("images", number, "x" * 100))
        if number == 0:
            time.sleep(5)


@pytest.mark.parametrize("after", [0.0, 0.002, 0.02, 0.5])
def test_ctrl_c_while_an_engine_starts_ends_it_too(after):
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt), EngineProcess(1) as engine:
            call = pool.submit(engine.call, time.sleep, 120)
            time.sleep(after)
            raise KeyboardInterrupt
        with pytest.raises(StoppedError):
            call.result()
        assert time.monotonic() - began < 60


def test_what_an_engine_prints_goes_to_its_log(tmp_path):
    log = tmp_path / "logs" / "engine.log"
    with EngineProcess(1, log) as engine:
        engine.call(os.system, "echo out; echo err >&2")
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


def _refuse():
    raise SpecError("nothing to do")


def test_a_killed_parent_takes_its_engine_along(tmp_path):
    script = (
        "import os, time\n"
        "from tasks.engines import EngineProcess\n"
        "if __name__ == '__main__':\n"
        "    with EngineProcess(1) as engine:\n"
        "        print(engine.call(os.getpid), flush=True)\n"
        "        time.sleep(120)\n"
    )
    (tmp_path / "parent.py").write_text(script)
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "parent.py"], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 60
    while Path(f"/proc/{child}").exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not Path(f"/proc/{child}").exists()


@pytest.mark.parametrize(
    ("execution", "engines", "threads"),
    [({"workers": 2}, 17, 4), ({"workers": 2}, 1, 8), ({"workers": 2, "threads": 3}, 17, 3), ({"workers": 16}, 99, 1)],
)
def test_an_engines_threads_follow_from_the_recipe_alone(monkeypatch, execution, engines, threads):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert engine_threads(ExecutionSpec(**execution), engines) == threads
