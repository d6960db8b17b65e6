"""Put the damaged and half-missing shards of a run aside, so that the next run makes them again."""

import json
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from data_specs.errors import ContractError, SpecError
from data_specs.shard import ShardAddress
from flows.inspect.verify import shard_faults
from flows.runs.commands import run_again
from flows.runs.lineages import also_of
from flows.runs.plan import RunPlan, read_plan
from tasks import storage
from tasks.embeddings.benchmarks import benchmark_of, benchmark_shards
from tasks.embeddings.jobs import embedding_jobs
from tasks.shard_faults import fault_of
from tasks.shard_leftovers import put_aside
from tasks.shards import sealed


def put_damaged_aside(root: str, name: str, shard: str | None = None) -> dict[str, Any]:
    """Read every shard of the run, or those called `shard`, and move the files of each that is not whole.

    Returns `{"run", "checked", "put_aside", "next"}`: of each shard that was moved its `shard`, `stage`, `faults`, the `folder`
    where its files now lie, and `also_of`, the other runs that lack it until it is made again; `next` is the command that does
    that. Raises SpecError for a run or shard that there is not.
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
            folder = put_aside(address, json.dumps(reason, indent=2), partial(_faults, address, plan))
            if folder is None:  # whoever was making it has done so
                continue
            others = also_of(plan, address)
            moved.append(
                {"shard": address.stem, "stage": address.stage, "faults": faults, "folder": folder, "also_of": others}
            )
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
