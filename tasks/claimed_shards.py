"""Which shards another process of this host is making: they come last."""

from collections.abc import Iterator, Sequence

from data_specs.shard import UNNAMED, MadeBy, ShardAddress
from tasks import storage
from tasks.events import Emit, Notice, ShardSealed, ignore
from tasks.shards import sealed


def missing_first(
    addresses: Sequence[ShardAddress], made_by: MadeBy = UNNAMED, emit: Emit = ignore
) -> Iterator[ShardAddress]:
    """Yields the shards that are not sealed yet: those nobody is making first, those another process makes last."""
    later = []
    for address in addresses:
        if sealed(address):
            emit(ShardSealed(made_by.run, address.stage, address.index))
            continue
        if unclaimed(address):
            yield address
        else:
            text = f"{address.stem} is being made by another process: taking others first"
            emit(Notice(made_by.run, address.stage, text))
            later.append(address)
    yield from later


def unclaimed(address: ShardAddress) -> bool:
    """No process of this host is making the shard at this moment."""
    with storage.claim(address.folder, address.stem, wait=False) as free:
        return free
