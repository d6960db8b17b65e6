"""Read a Hugging Face image data set on disk by Arrow alone: nothing is downloaded or unpickled.

Files of a split: `<split>/*.arrow` (as `save_to_disk` leaves them), `<split>/*.parquet`, or `<split>-*.parquet` in the folder
or its `data/` (as hubs serve them).
"""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_specs.errors import SpecError
from data_specs.ids import digest
from data_specs.rejection import Rejection
from data_specs.specs.embeddings import HuggingFaceImages
from tasks import storage
from tasks.embeddings.image_folders import splits
from tasks.embeddings.raw_sample import RawSample

SUFFIXES = (".arrow", ".parquet")


def files_of(source: HuggingFaceImages, split: str) -> list[str]:
    """URLs of a split's files in the order of their names, which is that of their rows. Raises SpecError if there are none."""
    path = source.path.rstrip("/")
    within = [f"{path}/{split}/{name}" for name in storage.names(f"{path}/{split}")]
    beside = [
        f"{folder}/{name}"
        for folder in (path, f"{path}/data")
        for name in storage.names(folder)
        if name.startswith((f"{split}-", f"{split}."))
    ]
    found = [url for url in within or beside if url.endswith(SUFFIXES)]
    if not found:
        there = ", ".join(storage.names(path)[:10]) or "nothing"
        raise SpecError(
            f"embeddings.data_sets: {source.name}: no Arrow or Parquet files of the split {split!r} in {path!r}, which holds "
            f"{there}; train, validation and test name the splits"
        )
    return found


def fingerprint(source: HuggingFaceImages) -> str:
    """A digest of the files' names and sizes. Raises SpecError for a file that cannot be read or lacks a column."""
    facts: list[str | int] = []
    for group, split in splits(source).items():
        for url in files_of(source, split):
            with storage.open_read(url) as stream:
                facts += [group, url.rsplit("/", 1)[-1], stream.seek(0, os.SEEK_END)]
        url = files_of(source, split)[0]
        with closing(_Rows(url)) as rows:
            if lacking := {source.image_column, source.label_column} - set(rows.schema.names):
                raise SpecError(
                    f"embeddings.data_sets: {source.name}: {url} has no column {sorted(lacking)[0]!r}; its columns are "
                    f"{', '.join(rows.schema.names)}: set image_column and label_column"
                )
    return digest(*facts)


def read_samples(source: HuggingFaceImages, part: int, parts: int) -> Iterator[RawSample | Rejection]:
    """Read every `parts`-th row group from `part` on; the others are not read."""
    number = 0
    for group, split in splits(source).items():
        for url in files_of(source, split):
            with closing(_Rows(url)) as rows:
                names = class_names(rows.schema, source.label_column)
                for place in range(rows.groups):
                    if number % parts == part:
                        batch = rows.read(place, [source.image_column, source.label_column])
                        for row, found in enumerate(batch):
                            key = f"{split}/{url.rsplit('/', 1)[-1]}/{place}/{row}"
                            yield _sample(key, group, found[source.image_column], found[source.label_column], names)
                    number += 1


def _sample(key: str, group: str, image: Any, label: Any, names: list[str] | None) -> RawSample | Rejection:
    data = image.get("bytes") if isinstance(image, dict) else image
    if not isinstance(data, bytes):
        where = image.get("path") if isinstance(image, dict) else None
        return Rejection(key, "no_pixels", f"only a path: {where}" if where else "")
    labels = label if isinstance(label, list) else [label]
    if any(one is None or one == -1 for one in labels):  # -1: how hubs mark a split whose labels are kept back
        return Rejection(key, "no_label", str(label))
    if names is not None and any(isinstance(one, int) and not 0 <= one < len(names) for one in labels):
        return Rejection(key, "unknown_label", f"{label} of {len(names)} classes")
    named = (names[one] if names is not None and isinstance(one, int) else str(one) for one in labels)
    return RawSample(key, group, tuple(dict.fromkeys(named)), data)


def class_names(schema: pa.Schema, column: str) -> list[str] | None:
    """The class names of a ClassLabel feature, or of a list of them; None for labels that are words or plain numbers."""
    described = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    feature = described.get("info", {}).get("features", {}).get(column)
    while isinstance(feature, list | dict):
        if isinstance(feature, list):
            feature = feature[0] if feature else None
        elif "names" in feature:
            return [str(name) for name in feature["names"]]
        else:
            feature = feature.get("feature")
    return None


class _Rows:
    """One file, Parquet or an Arrow stream, by row groups."""

    def __init__(self, url: str) -> None:
        """Raises SpecError for a file that is neither."""
        self._stream = storage.open_read(url)
        self._parquet = self._batches = None
        try:
            if url.endswith(".parquet"):
                self._parquet = pq.ParquetFile(self._stream, pre_buffer=False)
                self.schema, self.groups = self._parquet.schema_arrow, self._parquet.num_row_groups
            else:
                reader = pa.ipc.open_stream(self._stream)
                self.schema, self._batches = reader.schema, list(reader)
                self.groups = len(self._batches)
        except (pa.ArrowException, OSError) as error:
            self._stream.close()
            raise SpecError(
                f"embeddings.data_sets: {url} cannot be read: {error}"[:500] + "; download it again"
            ) from error

    def read(self, group: int, columns: list[str]) -> list[dict[str, Any]]:
        if self._parquet is not None:
            # Without threads, as in tasks/shards.py.
            table = self._parquet.read_row_group(group, columns=columns, use_threads=False)
        else:
            assert self._batches is not None
            table = self._batches[group].select(columns)
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    def close(self) -> None:
        self._stream.close()
