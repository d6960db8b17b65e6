"""Write a list of a run's images without their pixels, and render the image shards of such a list again."""

import gzip
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_specs import image_list
from data_specs.errors import ContractError, SpecError
from data_specs.ids import Lineage
from data_specs.image_list import Head, ListedShard
from data_specs.shard import UNNAMED, ShardAddress
from data_specs.specs.images import ImagesSpec
from data_specs.stage import Stage
from flows.repair.redraw import placement_and_threads, recorded_groups, rendering_spec, same_images
from flows.runs.lineages import stages_under
from flows.runs.resolve import write_facts
from tasks import storage
from tasks.engines import EngineProcess
from tasks.images.redraw import redraw_shard
from tasks.shards import read_rejects, require_sealed, sealed, sealed_shards


def write_list(root: str, name: str, file: Path) -> dict[str, Any]:
    """Write captions, seeds, model revisions, settings and digests of the run's images as gzipped lines of JSON.

    The same shards give the same bytes. Returns `{"file", "bytes", "lineage", "shards", "images"}`. Raises SpecError for a
    run without sealed images.
    """
    stage = next(iter(stages_under(root, "images", name)), None)
    if stage is None:
        raise SpecError(f"run {name!r} under {root!r} has no sealed images yet: run it with --until images")
    count = {"shards": 0, "images": 0}

    def listed() -> Iterator[ListedShard]:
        for address in sealed_shards(stage):
            groups = tuple(recorded_groups(address))
            count["shards"] += 1
            count["images"] += sum(len(group.images) for group in groups)
            yield ListedShard(require_sealed(address), groups, tuple(read_rejects(address)))

    head = Head(lineage=stage.lineage, facts=stage.facts, threads=placement_and_threads(root, stage)[1])
    with storage.parts_for(str(file)) as part:
        with part.open("wb") as stream, gzip.GzipFile("", "wb", fileobj=stream, mtime=0) as packed:
            packed.writelines(image_list.encode(head, listed()))
        storage.publish(part, str(file))
    return {"file": str(file), "bytes": file.stat().st_size, "lineage": stage.lineage, **count}


def rebuild(root: str, file: Path) -> dict[str, Any]:
    """Render the shards of a list under `root`, in the lineage that they had; those that are sealed there stay.

    Returns `{"lineage", "folder", "shards", "made", "identical", "images", "same", "different"}`: `identical` of `shards`
    have the very manifest that was listed, `same` of `images` their digest; `different` names the other shards.

    Raises:
        SpecError: no such file, or the model that rendered the images is not here.
        ContractError: the file is no list of images, or was changed or cut.
    """
    if not file.is_file():
        raise SpecError(f"there is no list of images {str(file)!r}; `synclr list-images RUN FILE` writes one")
    storage.require_writable(root)
    count, different = Counter(shards=0, made=0, identical=0, images=0, same=0), list[str]()
    try:
        with gzip.open(file, "rb") as lines:
            head, shards = image_list.decode(lines)
            stage = _stage(root, head)
            spec = rendering_spec(stage)
            write_facts(stage)
            with EngineProcess(head.threads or os.cpu_count() or 1, _log(stage)) as engine:
                for listed in shards:
                    address = stage.shard(listed.manifest.index)
                    found = _rebuild_shard(listed, address, spec, engine)
                    count.update(found)
                    different += [] if found["identical"] else [address.stem]
    except (EOFError, gzip.BadGzipFile) as error:
        raise ContractError(f"{file} is cut short or not gzipped: {error}") from error
    return {"lineage": head.lineage, "folder": stage.folder, **count, "different": different}


def _stage(root: str, head: Head) -> Stage:
    """The lineage under this root. Its count is that of the lines to come, which nobody has read yet."""
    folder = f"{root.rstrip('/')}/images/{head.lineage}"
    return Stage(name="images", lineage=Lineage(head.lineage), folder=folder, count=0, facts=head.facts)


def _rebuild_shard(
    listed: ListedShard, address: ShardAddress, spec: ImagesSpec, engine: EngineProcess
) -> dict[str, int]:
    absent = sealed(address) is None
    manifest = engine.call(redraw_shard, listed.groups, listed.refused, address, spec, UNNAMED)
    return {
        "shards": 1,
        "made": int(absent),
        "identical": int(manifest == listed.manifest),
        "images": sum(len(group.images) for group in listed.groups),
        "same": same_images(listed.groups, recorded_groups(address)),
    }


def _log(stage: Stage) -> Path | None:
    return storage.local_path(stage.folder) / "rebuild.log" if storage.is_local(stage.folder) else None
