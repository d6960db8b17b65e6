"""The page on which every byte of a run's sealed shards is read again, and what is wrong with it has its command."""

from typing import Any

from data_specs.shard import ShardAddress
from flows.inspect.readable import readable
from flows.inspect.verify import shard_faults
from flows.runs.commands import repair
from flows.runs.disk import bytes_on_disk
from flows.runs.plan import RunPlan
from flows.runs.status import progress, state
from flows.site.addresses import FRONT, run_page, shard_page
from flows.site.commands import verify
from flows.site.site import Site, SitePage
from tasks.shards import sealed_shards

MOST_BYTES = 4_000_000_000
"""Read for one page, which takes some ten seconds; a larger run is for `synclr verify`."""


def check_view(site: Site, run: str) -> SitePage:
    plan = site.plan(run)
    size = sum((readable(bytes_on_disk, stage)[0] or (0, True))[0] for stage in plan.stages.values())
    found: list[dict[str, Any]] = []
    shards = [shard for stage in plan.stages.values() for shard in sealed_shards(stage)] if size <= MOST_BYTES else []
    for shard in shards:
        if faults := _faults(plan, shard):
            page = shard_page(run, shard) if shard.index in site.linked(plan.stages[shard.stage]) else None
            found.append({"shard": shard, "page": page, "faults": faults})
    finished = state(plan, progress(plan)).startswith("finished")
    commands = repair(plan, [each["shard"] for each in found], None if finished else plan.until) if found else []
    content = {
        "run": run,
        "size": size,
        "checked": len(shards),
        "found": found,
        "commands": commands,
        "too_large": size > MOST_BYTES,
        "verify": verify(plan),
    }
    return SitePage("check.html", f"Check of {run}", (("runs", FRONT), (run, run_page(run))), content)


def _faults(plan: RunPlan, shard: ShardAddress) -> list[str]:
    faults, fault = readable(shard_faults, shard, plan.spec)
    return faults or ([fault] if fault else [])
