"""Render an image, a caption's group or a shard again from its records, and compare the digests with the recorded ones."""

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_specs import image_group
from data_specs.errors import SpecError
from data_specs.image_group import ImageGroup
from data_specs.shard import MadeBy, ShardAddress
from data_specs.specs.images import ImagesSpec
from data_specs.stage import Stage
from flows.inspect.show import CAPTION, IMAGE, holding_shard, unknown
from flows.runs.lineages import RowMatch, find_rows, rows, runs_pointing_at, stage_of, stages_under
from flows.runs.plan import read_plan
from models.renderer.build import identify_loras, identify_renderer
from tasks import storage
from tasks.engines import EngineProcess, engine_threads
from tasks.images.redraw import redraw_here, redraw_shard
from tasks.shards import read_rejects, require_sealed

PLACEMENT = {"device", "offload"}
"""Settings of the images stage that say where to render, and are no part of its lineage."""


def redraw(root: str, key: str, out: Path | None = None, name: str | None = None) -> dict[str, Any]:
    """Render one image, one caption's group or one shard again, from metadata alone; nothing that is sealed is overwritten.

    Returns `{"key", "is", "identical", "count", "same", "shard", "lineage", "folder", "images"}`: `same` of `count` images
    have the recorded digest, `identical` says whether all have (and a shard its manifest); `images` lists those that were
    written as files of their own, with the recorded and the new digest.

    Args:
        out: the folder that the images go to; else `<root>/redrawn/<key>`, or a temporary folder if the root is remote.
        name: look only at what this run sealed last; else the newest run that has the key.

    Raises:
        SpecError: nothing under the root has this key, the model that rendered it is not here, or `out` holds shards.
    """
    key = key.strip()
    folder = _output(root, key, out)
    if stem := stage_of(key):
        if stem[0] != "images":
            raise SpecError(f"{key} holds no images; name a shard such as images-{stem[1]:06d}")
        return _shard(root, key, stem[1], folder, name)
    image = IMAGE.fullmatch(key)
    if not image and not CAPTION.fullmatch(key):
        raise SpecError(f"{key!r} is no <caption id>/<copy>, caption's id or shard such as images-000003")
    caption, copy = (image[1], int(image[2])) if image else (key, None)
    match = next(find_rows(stages_under(root, "images", name), "id", caption), None)
    if match is None:
        raise unknown(root, key, name)
    images = _group(root, match, copy, folder)
    same = sum(bool(each["identical"]) for each in images)
    return {
        "key": key,
        "is": "caption" if copy is None else "image",
        "identical": same == len(images),
        "count": len(images),
        "same": same,
        "shard": match.address.stem,
        "lineage": match.stage.lineage,
        "folder": str(folder),
        "images": images,
    }


def _group(root: str, match: RowMatch, copy: int | None, folder: Path) -> list[dict[str, Any]]:
    """Render the images of one caption, or one of them, into files of `folder`."""
    group = image_group.from_row(match.row)
    if copy is not None:
        if copy >= len(group.images):
            raise SpecError(f"caption {group.caption.id!r} has {len(group.images)} images, counted from 0: no {copy}")
        group = image_group.part(group, copy)
    placement, threads = placement_and_threads(root, match.stage)
    with _engine(folder, threads) as engine:
        [made] = engine.call(redraw_here, [group], rendering_spec(match.stage, placement))
    images = []
    for before, after, pixels in zip(group.images, made.images, made.pixels, strict=True):
        file = folder / f"{group.caption.id}-{after.copy}.{after.format}"
        storage.write_bytes(str(file), pixels)
        images.append(
            {"copy": after.copy, "seed": after.seed, "identical": before.sha256 == after.sha256, "file": str(file)}
            | {"recorded_sha256": before.sha256, "sha256": after.sha256}
        )
    return images


def _shard(root: str, key: str, index: int, folder: Path, name: str | None) -> dict[str, Any]:
    stage = next(iter(holding_shard(root, "images", index, name)), None)
    if stage is None:
        raise unknown(root, key, name)
    sealed_at = stage.shard(index)
    target = ShardAddress(folder=str(folder), stage="images", lineage=stage.lineage, index=index)
    groups, refused = recorded_groups(sealed_at), read_rejects(sealed_at)
    placement, threads = placement_and_threads(root, stage)
    spec = rendering_spec(stage, placement)
    with _engine(folder, threads) as engine:
        made = engine.call(redraw_shard, groups, refused, target, spec, MadeBy(name or ""))
    return {
        "key": key,
        "is": "shard",
        "identical": made == require_sealed(sealed_at),
        "count": sum(len(group.images) for group in groups),
        "same": same_images(groups, recorded_groups(target)),
        "shard": key,
        "lineage": stage.lineage,
        "folder": str(folder),
        "images": [],
    }


def recorded_groups(address: ShardAddress) -> list[ImageGroup]:
    """The groups of a sealed shard from its metadata alone, without pixels."""
    return [image_group.from_row(row) for row in rows(address)]


def same_images(before: Sequence[ImageGroup], after: Sequence[ImageGroup]) -> int:
    """How many images have the digest that they had before."""
    known = {(group.caption.id, image.copy): image.sha256 for group in before for image in group.images}
    return sum(known.get((group.caption.id, image.copy)) == image.sha256 for group in after for image in group.images)


def rendering_spec(stage: Stage, placement: Mapping[str, Any] | None = None) -> ImagesSpec:
    """The settings that a lineage was rendered with, from its facts. Raises SpecError if the weights here are others."""
    spec = ImagesSpec.model_validate(stage.facts["spec"] | (placement or {}))
    model, loras = identify_renderer(spec), identify_loras(spec)
    used = [("images.model", spec.model, model, stage.facts["model"])]
    used += [
        ("images.loras", lora.model, found.model, recorded)
        for lora, found, recorded in zip(spec.loras, loras, stage.facts.get("loras", ()), strict=True)
    ]
    for setting, named, identity, recorded in used:
        if [identity.id, identity.revision] != recorded:
            raise SpecError(
                f"{setting}: {' '.join(recorded)} rendered lineage {stage.lineage}; here {named!r} is {identity.revision}: "
                "other weights render other images"
            )
    return spec


def placement_and_threads(root: str, stage: Stage) -> tuple[dict[str, Any], int | None]:
    """The device settings of the newest run that points at a lineage, and the CPU threads of each of its engines.

    `{}` and None where no run points at it.
    """
    run = next(iter(runs_pointing_at(root, stage)), None)
    if run is None:
        return {}, None
    plan = read_plan(root, run)
    return plan.spec.images.model_dump(include=PLACEMENT), engine_threads(
        plan.spec.execution, plan.stages["images"].count
    )


def _engine(folder: Path, threads: int | None) -> EngineProcess:
    return EngineProcess(threads or os.cpu_count() or 1, folder / "engine.log")


def _output(root: str, key: str, out: Path | None) -> Path:
    if out is None:
        within = storage.local_path(root) if storage.is_local(root) else Path(tempfile.gettempdir()) / "synclr"
        out = within / "redrawn" / re.sub(r"[^\w-]", "-", key)
    elif (out / "lineage.json").exists():
        raise SpecError(
            f"--output {out} is where a stage's shards lie, which nothing writes over: choose another folder"
        )
    if list(out.glob("images-*.json")):
        raise SpecError(
            f"{out} holds a shard that was rendered again before; remove it, or choose another with --output"
        )
    return out
