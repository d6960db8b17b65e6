"""Tell the state of shards: made, reused and by which run, missing, damaged; by listings, manifests and sizes alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from data_specs.errors import ContractError
from data_specs.shard import ShardAddress
from data_specs.stage import Stage
from flows.runs.commands import repair
from flows.runs.lineages import made_by
from flows.runs.plan import RunPlan
from flows.site.addresses import FRONT, run_page, shard_page, stage_page
from flows.site.site import Site, SitePage, UnknownPageError, stage_in
from flows.site.thumbnails import tiles
from tasks import storage
from tasks.shard_faults import unlike_sealed
from tasks.shards import as_sealed, missing

ShardState = Literal["made", "reused", "missing", "damaged"]
CELLS = 500
"""On one page of a stage."""
LISTED = 20
"""Of the missing and damaged shards of a page, those that are named."""


@dataclass(frozen=True, slots=True)
class GridCell:
    """One shard. `by` is the run that made it, as far as that is known; `page` its address, None where it has no page.

    `fault` says what is wrong with a damaged one: a manifest that is none, a file that is gone or has another size.
    """

    shard: ShardAddress
    state: ShardState
    by: str
    accepted: int
    rejected: int
    fault: str
    page: str | None

    @property
    def tenths(self) -> int:
        """The rejected share, rounded up, so that one reject among a million can be seen."""
        asked = self.accepted + self.rejected
        return -(-10 * self.rejected // asked) if asked else 0

    @property
    def says(self) -> str:
        """`images-000003: reused, made by first; 12 accepted, 3 rejected (20.0 %)`."""
        whose = {
            "made": ", made here",
            "reused": f": made by {self.by}",
            "missing": ": missing",
            "damaged": ": damaged",
        }
        counts = ""
        if self.state in ("made", "reused"):
            asked = self.accepted + self.rejected
            share = f" ({100 * self.rejected / asked:.1f} %)" if self.rejected else ""
            counts = f"; {self.accepted:,} accepted, {self.rejected:,} rejected{share}"
        return f"{self.shard.stem}{whose[self.state]}{counts}{'; ' * bool(self.fault)}{self.fault}"


def cells(site: Site, plan: RunPlan, stage: Stage, indices: Sequence[int]) -> list[GridCell]:
    """The state of some shards of a stage; no tar or table is opened."""
    sizes = {entry.name: entry.size for entry in storage.entries(stage.folder)}
    shards, linked = [stage.shard(index) for index in indices], site.linked(stage)
    manifests, notes = (
        _contents([shard for shard in shards if f"{shard.stem}.{suffix}" in sizes], suffix)
        for suffix in ("json", "made.json")
    )
    found = []
    for shard in shards:
        page = shard_page(plan.name, shard) if shard.index in linked else None
        found.append(_cell(shard, plan.name, manifests.get(shard.index), notes.get(shard.index), sizes, page))
    return found


def _contents(shards: Sequence[ShardAddress], suffix: str) -> dict[int, bytes]:
    texts = storage.read_all([shard.file(suffix) for shard in shards])
    return {shard.index: text for shard, text in zip(shards, texts, strict=True) if text is not None}


def _cell(
    shard: ShardAddress,
    run: str,
    manifest: bytes | None,
    note: bytes | None,
    sizes: Mapping[str, int],
    page: str | None,
) -> GridCell:
    if manifest is None:
        return GridCell(shard, "missing", "", 0, 0, "", page)
    try:
        promised = as_sealed(shard, manifest)
    except ContractError as error:
        return GridCell(shard, "damaged", "", 0, 0, str(error), page)
    by, rejected = (made_by(note) or {}).get("run") or "", sum(promised.rejected.values())
    fault = "; ".join(unlike_sealed(shard, promised, sizes))
    state: ShardState = "damaged" if fault else "reused" if by and by != run else "made"
    return GridCell(shard, state, by, promised.accepted, rejected, fault, page)


@dataclass(frozen=True, slots=True)
class GridPage:
    """Of many pages of a stage: which shards it has, and how many of them are missing."""

    number: int
    address: str
    first: int
    last: int
    missing: int


def grid_pages(run: str, stage: Stage) -> list[GridPage]:
    absent = missing(stage)
    found = []
    for number, first in enumerate(range(0, max(1, stage.count), CELLS), 1):
        last = min(first + CELLS, stage.count) - 1
        lost = sum(first <= index <= last for index in absent)
        found.append(GridPage(number, stage_page(run, stage.name, number), first, last, lost))
    return found


def stage_view(site: Site, run: str, stage: str, page: int = 1) -> SitePage:
    """The grid of a stage's shards, `CELLS` a page, and the commands that make again what is missing or damaged."""
    plan = site.plan(run)
    found = stage_in(plan, stage)
    pages = grid_pages(run, found)
    if not 1 <= page <= len(pages):
        raise UnknownPageError(f"stage {stage!r} of run {run!r} has {len(pages)} pages, and no page {page}")
    here = pages[page - 1]
    shown = cells(site, plan, found, range(here.first, here.last + 1))
    faulty = [cell for state in ("damaged", "missing") for cell in shown if cell.state == state]
    content = {
        "run": run,
        "stage": found,
        "pages": pages,
        "page": here,
        "cells": shown,
        "faulty": faulty[:LISTED],
        "more": len(faulty[LISTED:]),
        "commands": commands_for(plan, faulty),
        "tiles": tiles(site, plan, [cell.shard for cell in shown if cell.state in ("made", "reused")]),
    }
    return SitePage("stage.html", f"{stage} of {run}", (("runs", FRONT), (run, run_page(run))), content)


def commands_for(plan: RunPlan, faulty: Sequence[GridCell]) -> list[str]:
    """Those that make the damaged and missing shards of one stage again, of which at most `LISTED` are damaged."""
    damaged = [cell.shard for cell in faulty if cell.state == "damaged"][:LISTED]
    absent = next((cell.shard.stage for cell in faulty if cell.state == "missing"), None)
    return repair(plan, damaged, absent)
