"""Tell how fast a stage is made and when it will be done, from the times at which its shards were sealed or its steps written."""

import time
from dataclasses import dataclass

from data_specs.stage import RECORDS, SealedStage, Stage
from flows.artifacts.makers import MOST, makers
from flows.report.write import duration
from flows.runs.plan import RunPlan
from flows.runs.throughput import busy, format_number, per_second
from tasks.encoder.metrics import newest_row

QUIET_SECONDS = 120.0
"""Without a new shard or step for so long, or for ten times as long as one takes, nothing is foretold."""

FEWEST = 4
"""Shards that tell a rate: two engines seal their first ones within the same second."""


@dataclass(frozen=True, slots=True)
class StageRate:
    """How far a stage is, in `unit`s (shards; steps of an encoder), how fast, and how long it will still take, in words."""

    done: int
    total: int
    unit: str
    speed: str = ""
    left: str = ""

    @property
    def percent(self) -> int:
        return 100 * self.done // self.total if self.total else 0


def counted(count: int, things: str) -> str:
    """`1 checkpoint`, `21,000 concepts`."""
    return f"{count:,} {things.removesuffix('s') if count == 1 else things}"


def sealed_rate(stage: SealedStage, plan: RunPlan) -> StageRate:
    """Of a stage that is whole: the speed of the run that made something of it last."""
    speed = per_second(stage, plan.spec)
    words = [
        f"{format_number(speed)} {'images' if stage.name == 'images' else RECORDS[stage.name]} a second"
        if speed
        else "",
        duration(stage.seconds) if stage.seconds else "",
        busy(stage.engine_busy),
    ]
    return StageRate(stage.count, stage.count, "shards", ", ".join(filter(None, words)))


def open_rate(stage: Stage, plan: RunPlan, made: int) -> StageRate:
    """Of a stage under way, of which `made` shards are sealed."""
    if stage.name == "encoder":
        return _steps(stage, plan)
    latest = next((maker for maker in makers(stage) if maker.last), None)
    if not made or latest is None or latest.shards < FEWEST or latest.last <= latest.first:
        return StageRate(made, stage.count, "shards")
    of_all = max(1.0, stage.count / MOST)  # `makers` reads so many
    each = (latest.last - latest.first) / (latest.shards - 1) / of_all
    return _foretold(made, stage.count, "shards", each, time.time() - latest.last)


def _steps(stage: Stage, plan: RunPlan) -> StageRate:
    row, steps = newest_row(stage.folder), plan.spec.encoder.steps
    if row is None:
        return StageRate(0, steps, "steps")
    return _foretold(min(int(row["step"]) + 1, steps), steps, "steps", float(row.get("seconds", 0.0)), 0.0)


def _foretold(done: int, total: int, unit: str, each: float, quiet: float) -> StageRate:
    """`each` unit takes so many seconds; none has come for `quiet` seconds."""
    speed = f"{format_number(1 / each)} {unit} a second" if 0 < each <= 1 else f"{duration(each)} a {unit[:-1]}"
    if quiet > max(QUIET_SECONDS, 10 * each):
        return StageRate(done, total, unit, f"nothing new for {duration(quiet)}")
    return StageRate(done, total, unit, speed, f"{duration(each * (total - done))} left" if done < total else "")
