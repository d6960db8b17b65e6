"""Slices of a run: processes that know nothing of each other but the root make each its shards, and wait for the rest."""

import json
from pathlib import Path

import pytest

from support.command_line import FAKE_CAPTIONS, CommandLine, sets

SETTINGS = sets(**FAKE_CAPTIONS, captions__total=40, images__engine="fake", images__size=16, images__format="png")
"""Five shards of captions, and of images."""


@pytest.fixture(scope="module")
def synclr(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return CommandLine(tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("prefect"), prefect_server)


def makers(root: Path, stage: str) -> dict[int, str]:
    """Shard -> the flow run that made it."""
    notes = sorted((root / stage).glob(f"*/{stage}-*.made.json"))
    return {int(note.name.split("-")[1][:6]): json.loads(note.read_text())["flow_run"] for note in notes}


@pytest.mark.slow(60)
def test_a_slice_makes_its_shards_of_the_last_stage_and_does_not_wait_for_the_rest(synclr: CommandLine) -> None:
    alone = synclr.json("run", "tiny", *SETTINGS, "--until", "captions", "--slice", "2/2")
    captions = alone["stages"][-1]
    assert (captions["shards"], captions["made"], captions["sealed"]) == (5, 2, 2)
    assert set(makers(synclr.root, "captions")) == {1, 3}
    said = synclr("run", "tiny", *SETTINGS, "--until", "captions", "--slice", "2/2")
    assert "0 of 5 shards made, 2 reused, 3 left to other slices" in " ".join(said.split())
    assert set(makers(synclr.root, "captions")) == {1, 3}


@pytest.mark.slow(60)
def test_two_slices_make_a_run_together_and_each_its_own(synclr: CommandLine) -> None:
    both = [
        synclr.start("run", "tiny", *SETTINGS, "--until", "images", "--slice", f"{number}/2", "--json")
        for number in (1, 2)
    ]
    ends = [process.communicate(timeout=600) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    for stage in ("captions", "images"):
        made = makers(synclr.root, stage)
        assert set(made) == set(range(5))
        assert len({made[0], made[2], made[4]}) == len({made[1], made[3]}) == 1 and made[0] != made[1], stage
    summaries = [json.loads(out)["stages"][-1] for out, _ in ends]
    # Who ends first does not wait for the other in the last stage that was asked for.
    assert max(summary["sealed"] for summary in summaries) == 5
    whole = synclr.json("run", "tiny", *SETTINGS, "--until", "images")
    assert [stage["made"] for stage in whole["stages"]] == [0, 0, 0]
    assert synclr.json("status", "tiny")[2]["finished"]
    assert synclr.json("verify")["faults"] == []


def test_a_slice_alone_does_not_say_how_large_a_run_grows(synclr: CommandLine) -> None:
    assert "captions.total" in synclr("run", "tiny", "--slice", "1/2", "--grow", "8", code=2)


@pytest.mark.parametrize("words", ["0/2", "3/2", "2", "a/b", "1/0", "-1/2"])
def test_what_is_no_slice_is_a_line(synclr: CommandLine, words: str) -> None:
    assert "--slice" in synclr("run", "tiny", f"--slice={words}", code=2)
