"""Progress on stderr: runs and stages are kept apart, and a rate is that of the last advances."""

import io
from threading import Thread

import pytest
from rich.console import Console
from rich.progress import Progress

from flows.cli import progress_display
from flows.cli.progress_display import Bars, Lines, progress_listener
from flows.runs.meter import RATED_ADVANCES, Meter
from tasks.events import Advanced, Finished, Notice, Started, Worked

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def chatty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_display, "SECONDS_BETWEEN_LINES", 0.0)


def test_runs_beside_each_other_are_not_mixed(chatty: None, capsys: Capture) -> None:
    listener = Lines()
    for run, total in (("a", 10), ("b", 20)):
        listener(Started(run, "images", "images", total, 2))
    listener(Advanced("b", "images", 5))
    listener(Advanced("a", "images", 3, "engine 90 % busy"))
    listener(Worked("a", "images", 1, 1.0, 2.0))
    listener(Finished("b", "images", 12.34, 0.5))
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["a images: 2 of 10 images found", "b images: 2 of 20 images found"]
    assert lines[2].startswith("b images: 7 of 20 images, ")
    assert lines[3].startswith("a images: 5 of 10 images, ") and lines[3].endswith(", engine 90 % busy")
    assert lines[4:] == ["b images: 7 of 20 images, done in 12.3 s, engines 50% busy"]


def test_lines_are_seldom_and_events_of_a_stage_that_never_started_do_no_harm(capsys: Capture) -> None:
    listener = Lines()
    listener(Advanced("a", "selection", 3))
    listener(Finished("a", "selection", 1.0))
    listener(Started("a", "captions", "captions", 10, 0))
    for _ in range(5):
        listener(Advanced("a", "captions", 1))
    listener(Notice("a", "captions", "captions-000001 is being made by another process"))
    assert capsys.readouterr().err.splitlines() == [
        "a selection: done in 1.0 s",
        "a captions: 0 of 10 captions found",
        "a: captions-000001 is being made by another process",
    ]


def test_a_rate_forgets_the_wait_at_the_start_and_what_was_found() -> None:
    meter = Meter(Started("a", "images", "images", 1000, 500), now=0.0)
    assert meter.rate == ""
    for step in range(RATED_ADVANCES + 1):  # an hour for a slot, then two images a second
        meter.advance(4, now=3600.0 + 2 * step)
    assert (meter.count, meter.rate) == ("632 of 1000 images", "2/s, 0:03:04 left")


def test_a_shard_that_is_begun_again_takes_its_units_back() -> None:
    meter = Meter(Started("a", "images", "images", 8, 0), now=0.0)
    meter.advance(4, now=1.0)
    meter.advance(-4, now=2.0)
    assert (meter.count, meter.rate) == ("0 of 8 images", "")


def test_a_training_that_goes_back_to_an_older_checkpoint_has_the_rate_of_its_own_steps() -> None:
    meter = Meter(Started("a", "encoder", "steps", 700, 600), now=0.0)
    for step, by in enumerate((-199, 1, 1, 1)):  # the newest checkpoint is damaged: the one before is of step 400
        meter.advance(by, now=60.0 + 2 * step)
        assert "-" not in meter.rate
    assert (meter.count, meter.rate) == ("404 of 700 steps", "0.5/s, 0:09:52 left")


def test_a_bar_is_there_while_its_stage_is_under_way() -> None:
    screen = io.StringIO()
    with Progress(console=Console(file=screen, width=120)) as progress:
        bars = Bars(progress)
        for run in ("a", "b"):
            bars(Started(run, "captions", "captions", 16, 8))
        bars(Started("a", "captions", "captions", 16, 8))  # a retry begins the stage again
        threads = [Thread(target=lambda: [bars(Advanced("a", "captions", 1)) for _ in range(4)]) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {bar.description: bar.completed for bar in progress.tasks} == {"b captions": 8, "a captions": 16}
        bars(Finished("a", "captions", 3.0))
        bars(Notice("b", "captions", "waits"))
        assert [bar.description for bar in progress.tasks] == ["b captions"]
    assert "a captions: 16 of 16 captions, done in 3.0 s" in screen.getvalue() and "b: waits" in screen.getvalue()


def test_nothing_is_shown_beside_json(capsys: Capture) -> None:
    with progress_listener(quiet=True) as listener:
        listener(Started("a", "captions", "captions", 16, 8))
    with progress_listener(quiet=False) as listener:
        assert isinstance(listener, Lines), "the tests' stderr is no terminal"
    assert capsys.readouterr() == ("", "")
