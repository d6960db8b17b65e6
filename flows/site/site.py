"""What a site is of, and the runs, stages and shards that its addresses may name: those that plans list, and no other."""

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

from data_specs.shard import ShardAddress
from data_specs.stage import Stage
from flows.runs.lineages import stage_of
from flows.runs.plan import RunPlan, read_plan, run_folder, run_names


class UnknownPageError(LookupError):
    """Nothing here has this address."""


@dataclass(frozen=True, slots=True)
class Site:
    """`prefect` is the address of the server whose pages are linked to, if there is one.

    `shards` and `captions` limit what is linked to, for a site that is written: pages of so many shards of a stage, spread over
    it, and of the first so many captions of a shard. None: all.
    """

    root: str
    prefect: str | None = None
    shards: int | None = None
    captions: int | None = None

    def folder(self, run: str) -> str:
        """That of a run. Raises UnknownPageError for what is no run here: a name in an address is none until it is listed."""
        if run not in run_names(self.root):
            raise UnknownPageError(f"there is no run {run!r} under {self.root!r}")
        return run_folder(self.root, run)

    def plan(self, run: str) -> RunPlan:
        """Raises UnknownPageError for what is no run here, ContractError for a plan that cannot be read."""
        self.folder(run)
        return read_plan(self.root, run)

    def linked(self, stage: Stage) -> Container[int]:
        """The shards of a stage that have pages."""
        if self.shards is None:
            return range(stage.count)
        return {address.index for address in stage.spread(self.shards)}


@dataclass(frozen=True, slots=True)
class SitePage:
    """What a template is filled with. `crumbs` are the pages above, each with its address; `refresh`: it changes by itself."""

    template: str
    title: str
    crumbs: tuple[tuple[str, str], ...] = ()
    content: dict[str, Any] = field(default_factory=dict)
    refresh: bool = False


def stage_in(plan: RunPlan, stage: str) -> Stage:
    """Raises UnknownPageError."""
    if stage not in plan.stages:
        raise UnknownPageError(f"run {plan.name!r} has no stage {stage!r}")
    return plan.stages[stage]


def shard_in(plan: RunPlan, stage: str, stem: str) -> ShardAddress:
    """Raises UnknownPageError."""
    named = stage_of(stem)
    if named is None or named[0] != stage or named[1] >= stage_in(plan, stage).count:
        raise UnknownPageError(f"run {plan.name!r} has no shard {stem!r} of {stage!r}")
    return plan.stages[stage].shard(named[1])
