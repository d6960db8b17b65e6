"""Whatever is killed with SIGKILL, at any moment, and then started again: runs go on by themselves, and no engine slot is lost.

`SYNCLR_TEST_KILLS` says how many kills (4 unless set); what is printed at the end is the time until it works again.
"""

import os
import random
import statistics
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest

from support.completions_server import MODEL, Completions, completions
from support.killing import Killable, Separate, within

KILLS = int(os.environ.get("SYNCLR_TEST_KILLS", "4"))
VICTIMS = (
    *("server", "worker", "ui", "run", "all", "ctrl-c"),
    *("server+worker", "worker+run", "ui+worker", "engine", "ui+server+run"),
)
AGAIN_SECONDS = 240
"""Far beyond what is promised (a minute on an idle machine): the test machine does other things."""


@pytest.fixture
def captioner() -> Iterator[Completions]:
    with completions() as here:
        here.slow = 0.6
        yield here


@pytest.fixture
def stack(tmp_path: Path, captioner: Completions) -> Iterator[Killable]:
    stack = Killable(tmp_path, {"SYNCLR_API_SERVER": captioner.url})
    try:
        stack.start()
        within(AGAIN_SECONDS, lambda: "start a run:" in (tmp_path / "ui.txt").read_text(), stack.explain)
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def separate(tmp_path: Path, captioner: Completions) -> Iterator[Separate]:
    stack = Separate(tmp_path, {"SYNCLR_API_SERVER": captioner.url})
    try:
        stack.start()
        stack.deploy()
        yield stack
    finally:
        stack.stop()


def captions(name: str, seed: int) -> dict[str, Any]:
    """Of a lineage of its own, so that each needs an engine."""
    told = {"engine": "openai", "model": MODEL, "revision": "1", "total": 24, "per_shard": 4, "concurrency": 2}
    settings = {"seed": seed, "captions": told, "execution": {"workers": 1}}
    return {"recipe": "tiny", "name": name, "until": "captions", "settings": settings}


@pytest.mark.long(60 + 75 * KILLS)
def test_after_any_kill_runs_go_on_and_a_new_one_gets_its_engine(stack: Killable) -> None:
    chance = random.Random(int(os.environ.get("SYNCLR_TEST_SEED", "0")))
    times = [
        kill(stack, victim, number, chance.uniform(0, 30))
        for number, victim in enumerate(islice(cycle(VICTIMS), KILLS))
    ]
    assert_nothing_is_left(stack)
    for what, seconds in zip(("at work again", "both done"), zip(*times, strict=True), strict=True):
        print(f"{KILLS} kills, {what}: median {statistics.median(seconds):.0f} s, longest {max(seconds):.0f} s; all: "
              f"{sorted(round(each) for each in seconds)}")  # fmt: skip
    assert "database is locked" not in (stack.home / "synclr-logs" / "server.log").read_text(errors="replace")


@pytest.mark.long(150)
@pytest.mark.parametrize("victim", ["server", "server+worker+run"])
def test_on_a_server_that_is_not_ours_too(separate: Separate, victim: str) -> None:
    """Prefect's own: its leases and the order of its events are in its memory, and end with it."""
    kill(separate, victim, 0, 25)
    assert_nothing_is_left(separate)


def assert_nothing_is_left(stack: Killable) -> None:
    within(120, lambda: not stack.slots_taken(), lambda: f"{stack.slots_taken()} {stack.explain()}")
    within(120, lambda: not stack.open_runs(), lambda: f"{stack.open_runs()} {stack.explain()}")


def kill(stack: Killable, victim: str, number: int, moment: float) -> tuple[float, float]:
    """After how many seconds a run of which `victim` was killed is at work again; and it and one begun since are done."""
    run = stack.start_run("run", captions(f"killed-{number}", 2 * number))
    time.sleep(moment)
    stack.kill(victim)
    killed = time.monotonic()
    stack.start()
    new, _ = within(
        AGAIN_SECONDS, lambda: stack.start_run("run", captions(f"new-{number}", 2 * number + 1)), stack.explain
    )
    began = time.monotonic() - killed
    _, again = within(AGAIN_SECONDS, lambda: stack.is_at_work(stack.run(run)), lambda: stack.explain(run), steady=3)
    for each in (run, new):
        within(AGAIN_SECONDS, lambda each=each: completed(stack, each), lambda: stack.explain(run, new))
    print(f"kill {number}: {victim} after {moment:.1f} s; answers after {began:.1f} s, at work again {began + again:.1f} s, "
          f"both done {time.monotonic() - killed:.1f} s", flush=True)  # fmt: skip
    return began + again, time.monotonic() - killed


def completed(stack: Killable, run_id: str) -> bool:
    run = stack.run(run_id)
    assert run["state_type"] not in ("FAILED", "CANCELLED"), stack.explain(run_id)
    return bool(run["state_type"] == "COMPLETED")
