"""Write the commands that go on with a run, and that make its damaged shards again, as one types them."""

import shlex
from collections.abc import Sequence

from data_specs.errors import SpecError
from data_specs.shard import ShardAddress
from data_specs.stage import INNER_STAGES, STAGES
from flows.runs.plan import RunPlan
from flows.runs.recipes import format_overrides, resolve_recipe
from tasks import storage


def run_again(plan: RunPlan, stage: str | None = None) -> str:
    """The command of the run as it was last asked for: it makes what is missing; to `stage` at least, where that is given."""
    last = INNER_STAGES.get(stage, stage) if stage else plan.until
    inside = last in plan.requested
    words = ["synclr", "run", str(plan.source["recipe"]), "--name", plan.name, "--root", storage.absolute(plan.root)]
    words += [word for override in format_overrides(plan.source["overrides"]) for word in ("--set", override)]
    if _grown(plan):
        words += ["--grow", "0"]  # it keeps its size
    bounds = (("--since", plan.since if inside else STAGES[0], STAGES[0]),
              ("--until", plan.until if inside else last, STAGES[-1]))  # fmt: skip
    words += [word for option, bound, usual in bounds if bound != usual for word in (option, bound)]
    return shlex.join(words)


def _grown(plan: RunPlan) -> bool:
    try:
        return (
            plan.spec.captions.total != resolve_recipe(plan.source["recipe"], plan.source["overrides"]).captions.total
        )
    except SpecError:  # its recipe has been taken away since
        return False


def repair(plan: RunPlan, damaged: Sequence[ShardAddress], run_to: str | None) -> list[str]:
    """The commands, one after the other, that make damaged shards again; `run_to`: and what is missing up to that stage."""
    alone = ["--shard", damaged[0].stem] if len(damaged) == 1 else []
    aside = ["synclr", "repair", plan.name, *alone, "--root", storage.absolute(plan.root)]
    return ([shlex.join(aside)] if damaged else []) + ([run_again(plan, run_to)] if damaged or run_to else [])
