"""Load the batches of a training in order, in this process or ahead of it in loader workers.

Loader workers are processes of torch's DataLoader: step s is made by one of them, whole, and follows from s alone.
"""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader, Dataset

from data_specs.specs.encoder import EncoderSpec
from data_specs.stage import Stage
from models.encoder.batch import ImageBatch
from tasks.encoder.batches import Order
from tasks.encoder.image_store import DECODED_BYTES, ImageStore


class StepBatches(Dataset[ImageBatch]):
    """Batch number -> batch; `rank` of `world` gets its equal share. The shards are opened in the process that reads."""

    def __init__(self, stage: Stage, spec: EncoderSpec, seed: int, rank: int = 0, world: int = 1) -> None:
        """`stage` holds the sealed image shards."""
        self._stage, self._spec, self._seed = stage, spec, seed
        self._rank, self.world = rank, world
        self._opened: tuple[ImageStore, Order] | None = None

    def open(self) -> tuple[ImageStore, Order]:
        """Raises ContractError or SpecError for a stage that cannot be trained on."""
        if self._opened is None:
            # One bound for all: each rank's loader workers hold stores of their own.
            decoded_bytes = DECODED_BYTES // (self.world * max(1, self._spec.loader_workers))
            store = ImageStore(self._stage, self._spec.shuffle_shards, decoded_bytes)
            self._opened = store, Order(store.counts, store.copies, self._spec, self._seed)
        return self._opened

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_opened": None}  # a worker opens its own

    def __getitem__(self, number: int) -> ImageBatch:
        store, order = self.open()
        return store.images(order.choose(number).share(self._rank, self.world))

    def caption_ids(self, numbers: range) -> list[str]:
        """The ids of the captions of whole batches, all ranks' shares."""
        store, order = self.open()
        return [caption for number in numbers for caption in store.caption_ids(order.choose(number))]


def load(batches: StepBatches, numbers: range, workers: int) -> Iterator[ImageBatch]:
    """Yield batches in the order of their numbers, however many workers make them."""
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
