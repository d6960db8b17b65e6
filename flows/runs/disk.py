"""Measure the size of a stage on disk."""

from collections.abc import Iterator

from data_specs.stage import Stage
from tasks import storage
from tasks.shards import sealed

MOST_MANIFESTS = 1000
"""Read to learn a stage's size on disk; of more shards, this many are taken and the rest is estimated."""


def bytes_on_disk(stage: Stage) -> tuple[int, bool]:
    """The bytes of all sealed files, an encoder's exports and training checkpoints included, and whether that is exact."""
    sizes = [
        sum(file.bytes for file in manifest.files.values())
        for address in stage.spread(MOST_MANIFESTS)
        if (manifest := sealed(address))
    ]
    exact = len(sizes) == stage.count
    total = sum(sizes) if exact else round(sum(sizes) * stage.count / max(1, len(sizes)))
    return total + sum(_beside_shards(stage.folder)), exact


def _beside_shards(folder: str) -> Iterator[int]:
    for part in (name for name in storage.names(folder) if name == "checkpoints" or name.startswith("exported-")):
        for name in storage.names(f"{folder}/{part}"):
            try:
                with storage.open_read(f"{folder}/{part}/{name}") as stream:
                    yield stream.seek(0, 2)
            except FileNotFoundError:
                continue  # a training under way has replaced it meanwhile
