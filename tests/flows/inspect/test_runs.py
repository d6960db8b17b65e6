"""The runs under a root: their state, size, first score and date, newest first; one that cannot be read hides no other."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from flows.inspect.runs import runs_under
from flows.runs.plan import SEALED, read_records
from support.made_up_run import make_run
from tasks import storage
from tasks.scores.summary import first_score, headline


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Four runs, sealed one hour after another."""
    folder = str(tmp_path_factory.mktemp("root"))
    runs = {
        "whole": make_run(folder, "whole"),
        "to-images": make_run(folder, "to-images", until="images", captions={"max_words": 41}),
        "under-way": make_run(folder, "under-way", until="captions", captions={"total": 1_200, "max_words": 42}),
    }
    storage.remove(runs["under-way"].stages["captions"].shard(7).file("json"))
    storage.write_bytes(f"{folder}/runs/older/plan.json", b"{}")
    for hour, run in enumerate(runs.values()):
        records = read_records(folder, run.name)
        for entry in records.values():
            entry["unix_time"] = 1_700_000_000 + 3_600 * hour
        storage.write_bytes(f"{run.folder}/{SEALED}", json.dumps(records).encode())
    return folder


def test_each_run_has_its_state_size_score_and_date(root: str) -> None:
    found = {run["run"]: run for run in runs_under(root)}
    assert list(found) == ["under-way", "to-images", "whole", "older"]
    assert {name: run["state"] for name, run in found.items()} == {
        "whole": "finished",
        "to-images": "finished to images",
        "under-way": "captions 99/100",
        "older": "cannot be read",
    }
    assert [run["captions"] for run in found.values()] == [1_200, 48, 48, None]
    score = found["whole"]["score"]
    assert (score["benchmark"], score["protocol"]) == ("styles", "ridge") and score["value"] == pytest.approx(
        0.31 * 1.1
    )
    assert found["to-images"]["score"] is None and found["whole"]["unix_time"] == 1_700_000_000


def test_the_first_score_is_that_of_the_headline(tmp_path: Path) -> None:
    scores = make_run(str(tmp_path)).stages["scores"]
    first = first_score(scores)
    assert first and headline(scores)[0].startswith(f"styles (ridge): this encoder {100 * first['value']:.1f} %")


def test_status_without_a_name_is_a_table_that_fits_80_columns(root: str) -> None:
    def status(*words: str) -> str:
        return CliRunner().invoke(app, ["status", *words, "--root", root], env={"COLUMNS": "80"}).stdout

    lines = status().splitlines()
    assert (
        lines[0].split() == ["run", "state", "size", "score", "sealed", "last,", "UTC"]
        and max(map(len, lines[:5])) <= 80
    )
    assert lines[5].startswith("older cannot be read: ") and "another version" in lines[5] and len(lines) == 7
    assert lines[1].split() == ["under-way", "captions", "99/100", "1,200", "captions", "2023-11-15", "00:13"]
    assert lines[3].split() == ["whole", "finished", "48", "captions", "styles", "34.1", "%", "2023-11-14", "22:13"]
    assert json.loads(status("--json"))["runs"] == runs_under(root)
    stages = status("whole").splitlines()
    assert max(map(len, stages)) <= 80
    assert "12 concepts" in stages[1] and "48 captions" in stages[2] and "1 checkpoint " in stages[4]


def test_as_planned_no_recipe_is_read_again(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    today = runs_under(root)
    monkeypatch.setattr("flows.runs.status.replan", lambda _plan: pytest.fail("resolved again"))
    assert runs_under(root, as_planned=True) == today
