"""What must not lie among the sealed shards of a stage: damaged ones, and files that another host has made for nothing."""

import re
from collections.abc import Callable
from contextlib import suppress

from data_specs.errors import ContractError
from data_specs.shard import MARK_CHARACTERS, ShardAddress
from data_specs.stage import Stage
from tasks import storage
from tasks.shards import discard, sealed


def put_aside(address: ShardAddress, reason: str, is_damaged: Callable[[], object] = lambda: True) -> str | None:
    """Move the files of a damaged shard to `damaged/<stem>-<number>/` of its folder, `reason.json` beside them.

    Returns that folder, or None where no file of the shard is there, or where it is not damaged any more once nobody of this
    host works on it. Nothing is deleted; the manifest goes first, so that the shard counts as not made from then on. What another
    host seals meanwhile is given back.
    """
    with storage.claim(address.folder, address.stem, wait=True):
        if not is_damaged():
            return None
        here = [entry for entry in storage.names(address.folder) if entry.startswith(f"{address.stem}.")]
        manifest = f"{address.stem}.json"
        if not here:
            return None
        before = [entry for entry in storage.names(f"{address.folder}/damaged") if entry.startswith(f"{address.stem}-")]
        folder = address.beside(f"damaged/{address.stem}-{len(before)}")
        storage.write_bytes(f"{folder}/reason.json", reason.encode())
        for entry in sorted(here, key=lambda entry: entry != manifest):
            with suppress(FileNotFoundError):  # another host has removed its own
                storage.move(address.beside(entry), f"{folder}/{entry}")
        if again := sealed(address):
            for entry in address.data_names(again) & set(here):
                with suppress(FileNotFoundError):
                    storage.move(f"{folder}/{entry}", address.beside(entry))
        return folder


def sweep_unsealed(stage: Stage) -> None:
    """Remove data files that another host has made of shards that are sealed otherwise: no manifest will ever name them."""
    data = re.compile(rf"({stage.name}-\d+)\.([0-9a-f]{{{MARK_CHARACTERS}}})\.(.+)")
    found: dict[tuple[str, str], list[str]] = {}
    for name in storage.names(stage.folder):
        if match := data.fullmatch(name):
            found.setdefault((match[1], match[3]), []).append(name)
    for (stem, suffix), names in found.items():
        if len(names) == 1:  # to see that it is the sealed one its manifest would have to be read
            continue
        address = stage.shard(int(stem.rpartition("-")[2]))
        with suppress(ContractError):  # a damaged manifest is for `repair`
            manifest = sealed(address)
            content = manifest and manifest.files.get(suffix)
            kept = address.data_name(suffix, content) if content else ""
            for name in names if kept in names else ():
                if name != kept:
                    discard(address, name)
