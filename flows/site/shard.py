"""The page of one shard: who made it, what is wrong with it, its images or records, and what was rejected."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from data_specs import image_group
from data_specs.image_group import ImageGroup
from data_specs.shard import ShardAddress
from flows.inspect.readable import readable
from flows.inspect.verify import CONTRACTS
from flows.report.galleries import GalleryImage, images_of, prompt_target
from flows.runs.commands import repair
from flows.runs.lineages import also_of, made_by, rows
from flows.runs.plan import RunPlan
from flows.site.addresses import FRONT, run_page, sample_page, shard_page, stage_page
from flows.site.grid import CELLS, GridCell, cells
from flows.site.site import Site, SitePage, UnknownPageError, shard_in
from tasks import storage
from tasks.shard_faults import verify_shard
from tasks.shards import data_file, open_shard, read_rejects, require_sealed

Members = dict[str, dict[str, slice]]
GROUPS, RECORDS = 24, 100
"""Captions with their images, and records of other stages, on one page."""
REJECTS = 50
MOST_BYTES = 64_000_000
"""Of a shard that is read whole to be checked: half a second of work."""
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "backgrounds": ("concept", "text", "attempt"),
    "concepts": ("name", "kind", "category", "weight", "id"),
    "captions": ("text", "concept", "strategy", "attempt"),
    "selection": ("id", "verdict", "repeats"),
    "encoder": ("id", "architecture", "objective", "step", "images_seen"),
    "embeddings": ("encoder", "benchmark", "group", "labels", "id"),
    "scores": ("benchmark", "protocol", "encoder", "subset", "fold", "value"),
}
"""What a page shows of each record; `synclr show SHARD --json` holds all of it."""


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One caption of a sheet: its small images, each a link to the caption's page, and how many are not shown (unsafe)."""

    key: str
    text: str
    note: str
    images: tuple[GalleryImage, ...]
    left_out: int
    page: str


def shard_view(site: Site, run: str, stage: str, stem: str, page: int = 1) -> SitePage:
    plan = site.plan(run)
    shard = shard_in(plan, stage, stem)
    [cell] = cells(site, plan, plan.stages[stage], [shard.index])
    faults = _faults(cell)
    content = _records(site, plan, cell, page)
    if page < 1 or page > max(1, content["pages"]):
        raise UnknownPageError(f"{stem} has {content['pages']} pages, and no page {page}")
    content |= {
        "run": run,
        "cell": cell,
        "made": made_by(storage.read_bytes(shard.file("made.json"))),
        "faults": faults,
        "also_of": {other: run_page(other) for other in also_of(plan, shard)} if faults else {},
        "commands": repair(plan, [shard] if faults else [], stage if cell.state == "missing" else None),
        "page": page,
        "addresses": [shard_page(run, shard, number) for number in range(1, content["pages"] + 1)],
        "neighbours": _neighbours(site, plan, shard),
        "rejects": (readable(read_rejects, shard)[0] or [])[:REJECTS],
    }
    grid = stage_page(run, stage, 1 + shard.index // CELLS)
    return SitePage("shard.html", stem, (("runs", FRONT), (run, run_page(run)), (stage, grid)), content)


def _faults(cell: GridCell) -> list[str]:
    """By sizes, and of a shard that is not too large by every digest and record."""
    if cell.state == "missing" or cell.fault:
        return [cell.fault] if cell.fault else []
    promised, _ = readable(require_sealed, cell.shard)
    if promised and sum(content.bytes for content in promised.files.values()) > MOST_BYTES:
        return []
    faults, fault = readable(verify_shard, cell.shard, CONTRACTS[cell.shard.stage])
    return faults or ([fault] if fault else [])


def _records(site: Site, plan: RunPlan, cell: GridCell, page: int) -> dict[str, Any]:
    """The sheet of an images shard, or the rows of another one; `fault` where they cannot be read."""
    found: dict[str, Any] = {"sheet": [], "rows": [], "columns": COLUMNS.get(cell.shard.stage, ()), "pages": 1, "of": 0}
    if cell.state == "missing":
        return found | {"fault": ""}
    read = _sheet if cell.shard.stage == "images" else _rows
    records, fault = readable(read, site, plan, cell.shard, page)
    return found | {"fault": fault} | (records or {})


def _sheet(site: Site, plan: RunPlan, shard: ShardAddress, page: int) -> dict[str, Any]:
    keys = list(members_of(shard))
    listed = keys[: site.captions]
    found = [readable(group_of, shard, key) for key in listed[(page - 1) * GROUPS : page * GROUPS]]
    return {
        "sheet": [_sheet_row(plan, shard, group) for group, _ in found if group],
        "fault": "; ".join(fault for _, fault in found if fault),
        "pages": -(-len(listed) // GROUPS),
        "of": len(keys),
        "listed": len(listed),
    }


def members_of(shard: ShardAddress) -> Members:
    """Where in the tar each member of each sample lies. Raises ContractError if the shard is damaged, or is not sealed."""
    return _indexed(data_file(shard, "tar"), shard)


@lru_cache(maxsize=16)
def _indexed(_tar: str, shard: ShardAddress) -> Members:
    """Kept by what was sealed: to index a thousand captions takes a second, and each image of a page asks for it."""
    return open_shard(shard).members


def group_of(shard: ShardAddress, key: str) -> ImageGroup:
    """One caption with its images. Raises ContractError if they are not as they were sealed, KeyError if it is not there."""
    sample: dict[str, Any] = {"__key__": key}
    with storage.open_read(data_file(shard, "tar")) as stream:
        for extension, where in members_of(shard)[key].items():
            stream.seek(where.start)
            sample[extension] = stream.read(where.stop - where.start)
    return image_group.decode(sample, check_digests=True)


def _sheet_row(plan: RunPlan, shard: ShardAddress, group: ImageGroup) -> SheetRow:
    about, images = group.caption, images_of(group)
    note = ", ".join(filter(None, (about.concept, about.strategy, prompt_target(about))))
    page = sample_page(plan.name, shard.index, about.id)
    unsafe = sum(image.unsafe for image in group.images)
    return SheetRow(about.id, about.text, note, images, unsafe, page)


def _rows(site: Site, plan: RunPlan, shard: ShardAddress, page: int) -> dict[str, Any]:
    """Captions link to their pages."""
    records = rows(shard)
    listed = records[: site.captions] if shard.stage == "captions" else records
    if site.captions is not None:
        listed = listed[: max(site.captions, RECORDS)]
    here = listed[(page - 1) * RECORDS : page * RECORDS]
    pages = [sample_page(plan.name, shard.index, row["id"]) if shard.stage == "captions" else None for row in here]
    table = [
        (address, [row.get(name) for name in COLUMNS[shard.stage]]) for address, row in zip(pages, here, strict=True)
    ]
    return {"rows": table, "pages": -(-len(listed) // RECORDS), "of": len(records), "listed": len(listed)}


def _neighbours(site: Site, plan: RunPlan, shard: ShardAddress) -> dict[str, str]:
    """The shards before and after, and the one of captions or images that belongs to this one."""
    stage = plan.stages[shard.stage]
    other = {"images": "captions", "captions": "images"}.get(shard.stage)
    found = {"before": stage.shard(shard.index - 1)} if shard.index else {}
    if shard.index + 1 < stage.count:
        found["after"] = stage.shard(shard.index + 1)
    if other and shard.index < plan.stages[other].count:
        found[f"its {other}"] = plan.stages[other].shard(shard.index)
    return {
        what: shard_page(plan.name, address)
        for what, address in found.items()
        if address.index in site.linked(plan.stages[address.stage])
    }
