"""The page of one caption: its images, how it came to be word by word and seed by seed, and which encoders saw it."""

from typing import Any

from data_specs.errors import SpecError
from flows.inspect.show import CAPTION
from flows.inspect.trace import trace_in
from flows.runs.plan import RunPlan
from flows.site.addresses import FRONT, image_file, part_page, run_page, shard_page, stage_page
from flows.site.commands import redraw_sample
from flows.site.grid import CELLS
from flows.site.shard import group_of, members_of
from flows.site.site import Site, SitePage, UnknownPageError
from tasks.shards import sealed

MEDIA = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}


def sample_view(site: Site, run: str, shard: int, caption: str) -> SitePage:
    plan = site.plan(run)
    _require_named(plan, shard, caption)
    try:
        traced = trace_in(plan, caption, shard)
    except SpecError as error:
        raise UnknownPageError(str(error)) from error
    prompt = traced["prompt"] or {"turns": [], "note": ""}
    images = plan.stages["images"]
    home = images.shard(shard) if traced["images"] else plan.stages["captions"].shard(shard)
    content = {
        "run": run,
        "shard": home,
        "traced": traced,
        "captions": shard_page(run, plan.stages["captions"].shard(shard)),
        "turns": prompt["turns"],
        "note": prompt["note"],
        "again": redraw_sample(plan, caption),
        "images": _images(run, shard, traced) if traced["images"] else [],
        "encoders": [_encoder(each) for each in traced["checkpoints"]],
    }
    crumbs = (
        ("runs", FRONT),
        (run, run_page(run)),
        (home.stage, stage_page(run, home.stage, 1 + shard // CELLS)),
        (home.stem, shard_page(run, home)),
    )
    return SitePage("sample.html", caption, crumbs, content)


def image_bytes(site: Site, run: str, shard: int, caption: str, copy: int, form: str) -> tuple[bytes, str]:
    """The stored bytes of one image and their media type. Raises UnknownPageError, ContractError for a damaged one."""
    plan = site.plan(run)
    _require_named(plan, shard, caption)
    address = plan.stages["images"].shard(shard)
    if shard >= plan.stages["images"].count or not sealed(address):
        raise UnknownPageError(f"{address.stem} is not there")
    if caption not in members_of(address):
        raise UnknownPageError(f"{address.stem} has no caption {caption!r}")
    group = group_of(address, caption)
    if copy >= len(group.images) or group.images[copy].format != form:
        raise UnknownPageError(f"{caption} has no image {copy}.{form}")
    return group.pixels[copy], MEDIA[form]


def _require_named(plan: RunPlan, shard: int, caption: str) -> None:
    if not CAPTION.fullmatch(caption) or shard >= plan.stages["captions"].count:
        raise UnknownPageError(f"run {plan.name!r} has no caption {caption!r} in shard {shard}")


def _images(run: str, shard: int, traced: dict[str, Any]) -> list[dict[str, Any]]:
    caption = traced["caption"]["id"]
    return [
        image | {"file": image_file(run, shard, caption, image["copy"], image["format"])}
        for image in traced["images"]["images"]
    ]


def _encoder(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint, and the runs whose encoder it is, each with its scores in words."""
    of = [
        {
            "run": scored["run"],
            "encoder": part_page(scored["run"], "encoder"),
            "page": part_page(scored["run"], "scores"),
            "scores": scored["lines"],
        }
        for scored in checkpoint["scores"]
    ]
    return checkpoint | {"of": of}
