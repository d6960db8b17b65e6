"""A paper's table finished with real engines, cut small: two rows at once, stopped by Ctrl-C, and gone on with."""

import json
import signal
import time

import pytest

from support.command_line import all_gone, descendants, sets, times

pytestmark = [pytest.mark.long(240), pytest.mark.xdist_group("whole run")]


def test_two_rows_at_once_stop_at_ctrl_c_go_on_and_end_as_a_table(finished, synclr):
    before = times(synclr.root, "captions", "images")
    settings = sets(encoder__steps=8)  # not those of the finished run, which a row would find whole
    command = ["reproduce", "clip", "--repeats", "1", "--at-once", "2", *settings, "--json"]
    process = synclr.start(*command, start_new_session=True)
    until = time.monotonic() + 240
    while len(list(synclr.root.glob("runs/reproduce-clip-*/logs/prefect.log"))) < 2 and time.monotonic() < until:
        time.sleep(0.2)
    family = [process.pid, *descendants(process.pid)]
    assert len(family) >= 3, "two runs should be under way"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=180)
    assert process.returncode == 130 and "Traceback" not in said, said
    assert all_gone(family)

    told = json.loads(synclr(*command))
    assert [row["name"] for row in told["variants"]] == ["clip", "synclr"]
    assert all(0 <= row["ours"]["styles ridge"]["mean"] <= 1 and row["hours"] > 0 for row in told["variants"])
    assert "styles zero_shot" in told["variants"][0]["ours"]
    assert times(synclr.root, "captions", "images") == before
    alone = synclr.json("reproduce", "clip", "--repeats", "1", *settings)
    assert alone == told
