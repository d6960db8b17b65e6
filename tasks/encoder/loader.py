"""Image shards and a step to begin with enter; the batches of all steps that are left leave, in order.

Loader workers are processes of torch's DataLoader: step s is made by one of them, whole, and follows from s alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader, Dataset

from data_specs.run import EncoderSpec
from data_specs.shard import ShardAddress
from models.encoder.batch import Pictures
from tasks.encoder.batches import Order
from tasks.encoder.pictures import PictureStore


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step (or, with accumulation, a part of one) learns from, and the ids of its captions."""

    pictures: Pictures
    keys: tuple[str, ...]


class Batches(Dataset[Batch]):
    """Batch number -> batch; `rank` of `world` gets its equal share. The shards are opened in the process that reads."""

    def __init__(
        self, sources: Sequence[ShardAddress], spec: EncoderSpec, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        self._asked = (sources, spec, seed)
        self._rank, self.world = rank, world
        self._opened: tuple[PictureStore, Order] | None = None

    def opened(self) -> tuple[PictureStore, Order]:
        """Raises ContractError or SpecError for a room that nothing can be learned from."""
        if self._opened is None:
            sources, spec, seed = self._asked
            store = PictureStore(sources, spec.shuffle_shards)
            self._opened = store, Order(store.counts, store.copies, spec, seed)
        return self._opened

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_opened": None}  # a worker opens its own

    def __getitem__(self, number: int) -> Batch:
        store, order = self.opened()
        choice = order.choose(number).share(self._rank, self.world)
        return Batch(store.pictures(choice), tuple(store.keys(choice)))


def load(batches: Batches, numbers: range, workers: int) -> Iterator[Batch]:
    """Batches in the order of their numbers, however many workers make them."""
    return iter(
        DataLoader(
            batches,
            batch_size=None,
            sampler=numbers,
            num_workers=workers,
            collate_fn=_as_it_is,
            # A fork would copy locks that other threads hold.
            multiprocessing_context="spawn" if workers else None,
        )
    )


def _as_it_is(batch: Any) -> Any:
    return batch
