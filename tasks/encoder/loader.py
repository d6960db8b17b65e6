"""Image shards and a step to begin with enter; the batches of all steps that are left leave, in order.

Loader workers are processes of torch's DataLoader: step s is made by one of them, whole, and follows from s alone.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from torch.utils.data import DataLoader, Dataset

from data_specs.run import EncoderSpec
from data_specs.shard import ShardAddress
from models.encoder.batch import Pictures
from tasks.encoder.batches import Order
from tasks.encoder.image_store import DECODED_BYTES, PictureStore


class Batches(Dataset[Pictures]):
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
            # One bound for all: each rank's loader workers hold stores of their own.
            store = PictureStore(
                sources, spec.shuffle_shards, DECODED_BYTES // (self.world * max(1, spec.loader_workers))
            )
            self._opened = store, Order(store.counts, store.copies, spec, seed)
        return self._opened

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_opened": None}  # a worker opens its own

    def __getitem__(self, number: int) -> Pictures:
        store, order = self.opened()
        return store.pictures(order.choose(number).share(self._rank, self.world))

    def keys(self, numbers: range) -> list[str]:
        """The captions' ids of whole batches, all ranks' shares."""
        store, order = self.opened()
        return [key for number in numbers for key in store.keys(order.choose(number))]


def load(batches: Batches, numbers: range, workers: int) -> Iterator[Pictures]:
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
