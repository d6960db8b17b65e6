"""Write the commands that go on with a run, and that make missing and damaged shards again."""

import shlex
from collections.abc import Sequence

from data_specs.shard import ShardAddress
from data_specs.stage import INNER_STAGES, STAGES
from flows.runs.plan import RunPlan
from flows.runs.recipes import format_overrides
from tasks import storage


def run_again(plan: RunPlan, stage: str | None = None) -> str:
    """The command of this very run: it makes what is missing and reuses the rest; to `stage` at least, where that is given."""
    until = INNER_STAGES.get(stage, stage) if stage else plan.until
    inside = until in plan.requested
    words = ["synclr", "run", str(plan.source["recipe"]), "--name", plan.name, "--root", storage.absolute(plan.root)]
    words += ["--since", plan.since] if inside and plan.since != STAGES[0] else []
    words += ["--until", last] if (last := plan.until if inside else until) != STAGES[-1] else []
    for override in format_overrides(plan.source["overrides"]):
        words += ["--set", override]
    return shlex.join(words)


def repair(plan: RunPlan, damaged: Sequence[ShardAddress], run_to: str | None) -> list[str]:
    """The commands, one after the other, that make damaged shards again; `run_to`: and what is missing up to that stage.

    What was sealed is never written over: images are put aside by `redraw`, the files of other stages by a command here.
    """
    others = [shard for shard in damaged if shard.stage != "images"]
    lines, run = list(map(_put_aside, others)), run_again(plan, run_to)
    if len(others) < len(damaged):
        lines += [run] if others else []  # images are made of captions that are whole
        lines.append(_of_run("redraw", "--missing", plan))
    return lines + ([run] if others or run_to else [])


def _put_aside(shard: ShardAddress) -> str:
    folder = shlex.quote(storage.absolute(shard.folder))
    if not storage.is_local(shard.folder):
        return f"# move {folder}/{shard.stem}.* to {folder}/damaged/{shard.stem}/, then:"
    aside = f"{folder}/damaged/{shard.stem}"
    return f"mkdir -p {aside} && mv {folder}/{shard.stem}.* {aside}/"


def redraw_sample(plan: RunPlan, caption: str) -> str:
    return _of_run("redraw", caption, plan, "--name")


def verify(plan: RunPlan) -> str:
    return _of_run("verify", "", plan)


def _of_run(verb: str, what: str, plan: RunPlan, *before_name: str) -> str:
    words = ["synclr", verb, *filter(None, [what]), *before_name, plan.name, "--root", storage.absolute(plan.root)]
    return shlex.join(words)
