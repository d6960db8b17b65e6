"""Wait until the other slices of a run have sealed their shards of a stage."""

import time

from flows.execution.stage_run import StageRun
from flows.report.write import duration
from tasks.shards import missing

POLL_SECONDS = (2.0, 30.0)
"""Between two lists of a stage's folder: at first, and at most, since it may be a bucket's."""
TELL_SECONDS = 600.0
"""A wait in which nothing is sealed is told again after so long."""


def await_others(stage_run: StageRun) -> None:
    """Returns when the stage is whole. Who dies is started again by whoever started it: its shards are not taken from it here."""
    stage, began = stage_run.stage, time.monotonic()
    left, pause, told, newest = -1, POLL_SECONDS[0], 0.0, began
    while absent := len(missing(stage)):
        now = time.monotonic()
        if absent != left:
            newest, pause = now, POLL_SECONDS[0]
        if absent != left and left < 0 or now - max(told, newest) > TELL_SECONDS:
            quiet = f"; none was sealed for {duration(now - newest)}" if now - newest > TELL_SECONDS else ""
            stage_run.notice(f"{stage.name}: waits for {absent:,} of {stage.count:,} shards of other slices{quiet}")
            told = now
        left = absent
        time.sleep(pause)
        pause = min(1.5 * pause, POLL_SECONDS[1])
