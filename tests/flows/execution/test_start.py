"""How a run is called that a form started, and what its end is worth."""

from types import SimpleNamespace

import pytest

from data_specs.errors import SpecError
from flows.execution import start
from flows.execution.start import name_of_run, request_of
from support.made_up_run import make_run
from tasks.events import Notice


@pytest.fixture
def started_as(monkeypatch, tmp_path):
    """From a form whose first box said so; None: from a command line."""

    def begin(run_name, **words):
        parameters = {"recipe": "tiny", "since": "concepts", "until": "scores"} | words
        monkeypatch.setattr(start, "flow_run", SimpleNamespace(name=run_name or "brave-otter", parameters=parameters))
        monkeypatch.setattr(start, "deployment", SimpleNamespace(id=run_name and "some"))
        return name_of_run(), request_of(
            "tiny", words.get("name"), str(tmp_path), "concepts", "scores", None, None
        ).run_name

    return begin


def test_a_run_is_called_by_its_name_or_else_by_the_run_name_of_the_form_or_else_by_its_recipe(started_as):
    assert started_as("first-try") == ("first-try: concepts to scores", "first-try")
    assert started_as("first-try", name="mine") == ("mine: concepts to scores", "mine")
    assert started_as(None) == ("tiny: concepts to scores", "tiny")


def test_a_retry_has_the_name_of_the_first_try(started_as):
    shown, name = started_as("first-try")
    assert started_as(shown) == (shown, name)
    assert started_as(f"{shown}, stage by stage")[1] == name


def test_a_run_name_that_no_folder_can_have_is_refused(started_as):
    with pytest.raises(SpecError, match="name 'My first run': use letters"):
        started_as("My first run")


def test_growth_that_names_no_run_is_refused(monkeypatch, started_as, tmp_path):
    started_as("first-try")
    with pytest.raises(SpecError, match="grow 512 says not which run is to grow: give its `name`"):
        request_of("tiny", None, str(tmp_path), "concepts", "images", 512, None)
    assert request_of("tiny", "growing", str(tmp_path), "concepts", "images", 512, None).grow == 512


def test_a_report_that_cannot_be_written_fails_no_run(monkeypatch, tmp_path):
    plan, heard = make_run(str(tmp_path), until="concepts"), []
    plan = plan.model_copy(update={"listeners": (heard.append,)})

    def fail(_plan):
        raise OSError("no space left on device")

    monkeypatch.setattr(start, "write_report", fail)
    assert start._report(plan) == "not written; the log says why"
    assert isinstance(heard[0], Notice) and "no space left on device" in heard[0].text
