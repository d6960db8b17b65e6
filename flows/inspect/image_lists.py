"""A run enters and a list of its pictures, without a pixel, leaves; or such a list enters, and its image shards leave."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_specs import image_list as picture_list
from data_specs.errors import ContractError, SpecError
from data_specs.ids import Lineage
from data_specs.image_list import Head, Listed
from flows.repair.redraw import recorded, same_pictures, settings, where_drawn
from flows.runs.lineages import Home, homes
from flows.runs.resolve import Room
from tasks import storage
from tasks.engines import EngineProcess
from tasks.images.redraw import redraw_shard
from tasks.shards import read_rejects, require_sealed


def write_list(root: str, name: str, file: Path) -> dict[str, Any]:
    """Captions, seeds, model revisions, settings and digests of the run's pictures, as gzipped lines of JSON.

    The same shards are the same bytes. Returns `{"file", "bytes", "lineage", "shards", "pictures"}`. Raises SpecError for
    a run without sealed pictures.
    """
    home = next(iter(homes(root, "images", name)), None)
    if home is None:
        raise SpecError(f"run {name!r} under {root!r} has no sealed pictures yet: run it with --until images")
    count = {"shards": 0, "pictures": 0}

    def listed() -> Iterator[Listed]:
        for address in home.shards():
            groups = tuple(recorded(address))
            count["shards"] += 1
            count["pictures"] += sum(len(group.images) for group in groups)
            yield Listed(require_sealed(address), groups, tuple(read_rejects(address)))

    head = Head(lineage=home.lineage, facts=home.facts, threads=where_drawn(root, home)[1])
    with storage.parts_for(str(file)) as part:
        with part.open("wb") as stream, gzip.GzipFile("", "wb", fileobj=stream, mtime=0) as packed:
            packed.writelines(picture_list.encode(head, listed()))
        storage.publish(part, str(file))
    return {"file": str(file), "bytes": file.stat().st_size, "lineage": home.lineage, **count}


def rebuild(root: str, file: Path) -> dict[str, Any]:
    """Draw the shards of a list under `root`, where they have the lineage they had; those that are sealed there stay.

    Returns `{"lineage", "folder", "shards", "made", "identical", "pictures", "same", "different"}`: `identical` of
    `shards` have the very manifest that was listed, `same` of `pictures` their digest; `different` names the other shards.

    Raises:
        SpecError: no such file, or the model that drew the list is not here.
        ContractError: the file is no list of pictures, or was changed or cut.
    """
    if not file.is_file():
        raise SpecError(f"there is no list of pictures {str(file)!r}; `synclr list-pictures RUN FILE` writes one")
    storage.require_writable(root)
    told = {"shards": 0, "made": 0, "identical": 0, "pictures": 0, "same": 0}
    different = []
    try:
        with gzip.open(file, "rb") as lines:
            head, shards = picture_list.decode(lines)
            home = Home("images", head.lineage, f"{root.rstrip('/')}/images/{head.lineage}", head.facts, ())
            spec = settings(home)
            Room("images", Lineage(head.lineage), home.folder, (), head.facts).remember()
            with EngineProcess(head.threads or os.cpu_count() or 1, _log(home)) as engine:
                for listed in shards:
                    address = home.shard(listed.manifest.index)
                    told["made"] += storage.read_bytes(address.file("json")) is None
                    made = engine.call(redraw_shard, listed.groups, listed.refused, address, spec, run="")
                    identical = made == listed.manifest
                    told["shards"] += 1
                    told["identical"] += identical
                    told["pictures"] += sum(len(group.images) for group in listed.groups)
                    told["same"] += same_pictures(listed.groups, recorded(address))
                    different += [] if identical else [address.stem]
    except (EOFError, gzip.BadGzipFile) as error:
        raise ContractError(f"{file} is cut short or not gzipped: {error}") from error
    return {"lineage": head.lineage, "folder": home.folder, **told, "different": different}


def _log(home: Home) -> Path | None:
    return storage.local_path(home.folder) / "rebuild.log" if storage.is_local(home.folder) else None
