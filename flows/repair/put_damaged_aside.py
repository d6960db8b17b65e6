"""Put the damaged and half-missing shards of a run aside, so that the next run makes them again."""

import json
import shlex
import time
from collections.abc import Iterator
from typing import Any

from data_specs.errors import ContractError, SpecError
from data_specs.shard import ShardAddress
from data_specs.stage import STAGES
from flows.inspect.verify import shard_faults
from flows.runs.plan import RunPlan, read_plan
from flows.runs.recipes import format_overrides, resolve_recipe
from tasks import storage
from tasks.embeddings.benchmarks import benchmark_of, benchmark_shards
from tasks.embeddings.jobs import embedding_jobs
from tasks.shard_faults import fault_of
from tasks.shards import put_aside, sealed


def put_damaged_aside(root: str, name: str, shard: str | None = None) -> dict[str, Any]:
    """Read every shard of the run, or those called `shard`, and move the files of each that is not whole.

    Returns `{"run", "checked", "put_aside", "next"}`: of each shard that was moved its `shard`, `stage`, `faults` and the
    `folder` where its files now lie; `next` is the command that makes them again. Raises SpecError for a run or shard that
    there is not.
    """
    plan = read_plan(root, name)
    addresses = [address for address in _addresses(plan) if shard in (None, address.stem)]
    if not addresses:
        stages = ", ".join(f"{stage.name}-000000 to {stage.count - 1:06d}" for stage in plan.stages.values())
        raise SpecError(f"run {name!r} has no shard {shard!r}; it has {stages}")
    checked, moved, listed = 0, [], dict[str, list[str]]()
    for address in addresses:
        if address.folder not in listed:
            listed[address.folder] = storage.names(address.folder)
        if not any(entry.startswith(f"{address.stem}.") for entry in listed[address.folder]):
            continue  # not made yet
        checked += 1
        if faults := _faults(address, plan):
            reason = {"shard": address.stem, "run": name, "unix_time": time.time(), "faults": faults}
            folder = put_aside(address, json.dumps(reason, indent=2))
            moved.append({"shard": address.stem, "stage": address.stage, "faults": faults, "folder": folder})
    return {"run": name, "checked": checked, "put_aside": moved, "next": run_again(plan)}


def _addresses(plan: RunPlan) -> Iterator[ShardAddress]:
    """All shards that the plan has, and those of the benchmarks that it embeds, which runs of one root share."""
    for stage in plan.stages.values():
        yield from stage.shards()
    fingerprints = plan.stages["embeddings"].facts["data_sets"]
    for benchmark, seed in dict.fromkeys((job.benchmark, job.seed) for job in embedding_jobs(plan.spec)):
        yield from benchmark_shards(plan.root, benchmark_of(plan.spec.embeddings, benchmark, seed, fingerprints))


def _faults(address: ShardAddress, plan: RunPlan) -> list[str]:
    try:
        if sealed(address) is None:
            return [f"{address.stem}.json is missing: the files beside it count for nothing"]
    except ContractError as error:
        return [fault_of(error)]
    return shard_faults(address, plan.spec)


def run_again(plan: RunPlan) -> str:
    """The command of the run as it was last asked for."""
    recipe, overrides = plan.source["recipe"], plan.source["overrides"]
    words = ["synclr", "run", recipe, "--name", plan.name, "--root", plan.root]
    words += [word for override in format_overrides(overrides) for word in ("--set", override)]
    if plan.spec.captions.total != resolve_recipe(recipe, overrides).captions.total:
        words += ["--grow", "0"]  # it has grown, and keeps its size
    bounds = (("--since", plan.since, STAGES[0]), ("--until", plan.until, STAGES[-1]))
    words += [word for option, stage, usual in bounds if stage != usual for word in (option, stage)]
    return shlex.join(words)
