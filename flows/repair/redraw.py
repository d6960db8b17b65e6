"""A picture's, caption's or shard's key enters; its pictures, drawn anew from their records, leave, and whether they differ."""

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_specs import image_group
from data_specs.errors import SpecError
from data_specs.image_group import ImageGroup
from data_specs.run import ImagesSpec
from data_specs.shard import ShardAddress
from flows.inspect.show import CAPTION, IMAGE, unknown
from flows.runs.folder import read_recipe
from flows.runs.lineages import Home, find, homes, room_of, rows
from models.renderer.build import identify_loras, identify_renderer
from tasks import storage
from tasks.engines import EngineProcess, engine_threads
from tasks.images.redraw import redraw_here, redraw_shard
from tasks.shards import read_rejects, require_sealed

WHERE = {"device", "offload"}
"""Knobs of the images room that are no part of its lineage."""


def redraw(root: str, key: str, out: Path | None = None, name: str | None = None) -> dict[str, Any]:
    """Draw a picture, one caption's group or one shard again, from records alone: no tar is opened, and none is written over.

    Returns `{"key", "is", "identical", "pictures", "same", "shard", "lineage", "folder", "images"}`: `same` of `pictures`
    have the recorded digest, `identical` if all have (and, of a shard, its manifest); `images` tells each that was written
    as a file of its own, with the recorded and the new digest.

    Args:
        out: the folder that the pictures go to; else `<root>/redrawn/<key>`, or a temporary folder if the root is remote.
        name: look only at what this run points at; else the newest run that has the key.

    Raises:
        SpecError: nothing under the root has this key, the model that drew it is not here, or `out` holds shards.
    """
    key = key.strip()
    folder = _output(root, key, out)
    if stem := room_of(key):
        if stem[0] != "images":
            raise SpecError(f"{key} holds no pictures; name a shard such as images-{stem[1]:06d}")
        return _shard(root, key, stem[1], folder, name)
    image = IMAGE.fullmatch(key)
    if not image and not CAPTION.fullmatch(key):
        raise SpecError(f"{key!r} is no <caption id>/<copy>, caption's id or shard such as images-000003")
    caption, copy = (image[1], int(image[2])) if image else (key, None)
    place = next(find(homes(root, "images", name), "id", caption), None)
    if place is None:
        raise unknown(root, key, name)
    group = image_group.from_row(place.row)
    if copy is not None:
        if copy >= len(group.images):
            raise SpecError(f"caption {caption!r} has {len(group.images)} pictures, counted from 0: no {copy}")
        group = image_group.part(group, copy)
    at, threads = where_drawn(root, place.home)
    with _engine(folder, threads) as engine:
        [made] = engine.call(redraw_here, [group], settings(place.home, at))
    images = []
    for before, after, pixels in zip(group.images, made.images, made.pixels, strict=True):
        file = folder / f"{caption}-{after.copy}.{after.format}"
        storage.write_bytes(str(file), pixels)
        images.append(
            {"copy": after.copy, "seed": after.seed, "identical": before.sha256 == after.sha256, "file": str(file)}
            | {"recorded_sha256": before.sha256, "sha256": after.sha256}
        )
    same = sum(bool(told["identical"]) for told in images)
    return {
        "key": key,
        "is": "caption" if copy is None else "image",
        "identical": same == len(images),
        "pictures": len(images),
        "same": same,
        "shard": place.address.stem,
        "lineage": place.home.lineage,
        "folder": str(folder),
        "images": images,
    }


def _shard(root: str, key: str, index: int, folder: Path, name: str | None) -> dict[str, Any]:
    found = [home for home in homes(root, "images", name) if any(shard.index == index for shard in home.shards())]
    if not found:
        raise unknown(root, key, name)
    sealed_at = found[0].shard(index)
    target = ShardAddress(folder=str(folder), room="images", lineage=found[0].lineage, index=index)
    groups = recorded(sealed_at)
    at, threads = where_drawn(root, found[0])
    with _engine(folder, threads) as engine:
        made = engine.call(
            redraw_shard, groups, read_rejects(sealed_at), target, settings(found[0], at), run=name or ""
        )
    return {
        "key": key,
        "is": "shard",
        "identical": made == require_sealed(sealed_at),
        "pictures": sum(len(group.images) for group in groups),
        "same": same_pictures(groups, recorded(target)),
        "shard": key,
        "lineage": found[0].lineage,
        "folder": str(folder),
        "images": [],
    }


def recorded(address: ShardAddress) -> list[ImageGroup]:
    """The groups of a sealed shard from its metadata alone, without pixels."""
    return [image_group.from_row(row) for row in rows(address)]


def same_pictures(before: Sequence[ImageGroup], after: Sequence[ImageGroup]) -> int:
    """How many pictures have the digest that they had before."""
    known = {(group.caption.id, image.copy): image.sha256 for group in before for image in group.images}
    return sum(known.get((group.caption.id, image.copy)) == image.sha256 for group in after for image in group.images)


def settings(home: Home, at: Mapping[str, Any] | None = None) -> ImagesSpec:
    """How a lineage was drawn, `at` the place that a run names. Raises SpecError if the weights here are others."""
    spec = ImagesSpec.model_validate(home.facts["spec"] | (at or {}))
    here, added = identify_renderer(spec), identify_loras(spec)
    used = [("images.model", spec.model, here, home.facts["model"])]
    used += [
        ("images.loras", said.model, lora.model, then)
        for said, lora, then in zip(spec.loras, added, home.facts.get("loras", ()), strict=True)
    ]
    for knob, model, identity, then in used:
        if [identity.id, identity.revision] != then:
            raise SpecError(
                f"{knob}: {' '.join(then)} drew lineage {home.lineage}; here {model!r} is {identity.revision}: "
                "other weights draw other pictures"
            )
    return spec


def where_drawn(root: str, home: Home) -> tuple[dict[str, Any], int | None]:
    """Where the newest run that points at a lineage draws: knobs that are no part of it, and its engines' threads.

    Nothing, and None, of a lineage to which no run points.
    """
    if not home.runs:
        return {}, None
    run, _ = read_recipe(root, home.runs[0])
    shards = -(-run.spec.captions.total // run.spec.captions.per_shard)
    return run.spec.images.model_dump(include=WHERE), engine_threads(run.spec.execution, shards)


def _engine(folder: Path, threads: int | None) -> EngineProcess:
    return EngineProcess(threads or os.cpu_count() or 1, folder / "engine.log")


def _output(root: str, key: str, out: Path | None) -> Path:
    if out is None:
        within = storage.local_path(root) if storage.is_local(root) else Path(tempfile.gettempdir()) / "synclr"
        out = within / "redrawn" / re.sub(r"[^\w-]", "-", key)
    elif (out / "lineage.json").exists():
        raise SpecError(
            f"--output {out} is where a room's shards lie, which nothing writes over: choose another folder"
        )
    if list(out.glob("images-*.json")):
        raise SpecError(f"{out} holds a shard that was drawn again before; remove it, or choose another with --output")
    return out
