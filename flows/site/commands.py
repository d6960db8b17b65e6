"""Write the commands that go on with a run, and that make a missing or damaged shard again."""

import shlex

from data_specs.shard import ShardAddress
from data_specs.stage import STAGES
from flows.runs.plan import RunPlan
from flows.runs.recipes import format_overrides
from tasks import storage


def run_again(plan: RunPlan) -> str:
    """The command of this very run: it makes what is missing and reuses the rest."""
    words = ["synclr", "run", str(plan.source["recipe"]), "--name", plan.name, "--root", storage.absolute(plan.root)]
    words += ["--since", plan.since] if plan.since != STAGES[0] else []
    words += ["--until", plan.until] if plan.until != STAGES[-1] else []
    for override in format_overrides(plan.source["overrides"]):
        words += ["--set", override]
    return shlex.join(words)


def redraw_missing(plan: RunPlan) -> str:
    return shlex.join(["synclr", "redraw", "--missing", plan.name, "--root", storage.absolute(plan.root)])


def remake(plan: RunPlan, shard: ShardAddress, *, damaged: bool) -> str:
    """Make one shard again; what is damaged is moved aside first, since nothing that was sealed is ever written over."""
    if not damaged:
        return run_again(plan)
    if shard.stage == "images":
        return redraw_missing(plan)
    if not storage.is_local(shard.folder):
        return f"{run_again(plan)}  # once the files {shard.file('*')} are moved elsewhere"
    aside = shlex.quote(f"{storage.absolute(shard.folder)}/damaged/{shard.stem}")
    files = f"{shlex.quote(storage.absolute(shard.folder))}/{shard.stem}.*"
    return f"mkdir -p {aside} && mv {files} {aside}/ && {run_again(plan)}"


def redraw_sample(plan: RunPlan, caption: str) -> str:
    return shlex.join(["synclr", "redraw", caption, "--name", plan.name, "--root", storage.absolute(plan.root)])


def verify(plan: RunPlan) -> str:
    return shlex.join(["synclr", "verify", plan.name, "--root", storage.absolute(plan.root)])
