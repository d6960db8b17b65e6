"""Read a Hugging Face image data set on disk by Arrow alone: nothing is downloaded or unpickled.

Files of a split: those that `save_to_disk` listed in `<split>/state.json`; else `<split>/*.parquet`, or `<split>-*.parquet` in
the folder or its `data/` (as hubs serve them). tasks/embeddings/split_files.py finds them.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from data_specs.errors import SpecError
from data_specs.ids import digest
from data_specs.json_text import parse_json
from data_specs.rejection import Rejection
from data_specs.specs.embeddings import HuggingFaceImages
from tasks import storage
from tasks.embeddings.classes import splits
from tasks.embeddings.raw_sample import RawSample
from tasks.embeddings.refusals import refusal
from tasks.embeddings.split_files import split_files

CONTINUED = b"\xff" * 4
END_OF_STREAM = CONTINUED + bytes(4)
"""The last bytes of an Arrow stream that was written to its end; of one before Arrow 0.15, which begins otherwise, the zeros."""
ROWS = 64
"""In memory at a time: a row group of a hub holds up to some GB of images."""


def fingerprint(source: HuggingFaceImages) -> str:
    """A digest of the files' names and sizes.

    Raises SpecError for a file that cannot be read, or whose columns are not those of images with classes.
    """
    facts: list[str | int] = []
    named: dict[str, bool] = {}
    for group, split in splits(source).items():
        for url in split_files(source, split):
            with storage.open_read(url) as stream:
                facts += [group, url.rsplit("/", 1)[-1], stream.seek(0, os.SEEK_END)]
            schema = _schema(url)
            _require_columns(source, url, schema)
            named[url] = class_names(schema, source.label_column) is not None
    if len(set(named.values())) > 1:
        one, other = (next(url for url, known in named.items() if known is names) for names in (True, False))
        raise refusal(
            source,
            f"{one} names the classes of {source.label_column!r} and {other} does not, so "
            "one class would be two; save both in the same form",
        )
    return digest(*facts)


def _require_columns(source: HuggingFaceImages, url: str, schema: pa.Schema) -> None:
    if lacking := {source.image_column, source.label_column} - set(schema.names):
        raise refusal(
            source,
            f"{url} has no column {sorted(lacking)[0]!r}; its columns are "
            f"{', '.join(schema.names)}: set image_column and label_column",
        )
    if twice := [name for name in (source.image_column, source.label_column) if schema.names.count(name) > 1]:
        raise refusal(
            source,
            f"{url} has the column {twice[0]!r} {schema.names.count(twice[0])} times, so which one is meant cannot be told: "
            "rename the others",
        )
    image, label = schema.field(source.image_column).type, schema.field(source.label_column).type
    data = image.field("bytes").type if types.is_struct(image) and image.get_field_index("bytes") >= 0 else image
    if not _any(data, "binary", "large_binary", "binary_view"):
        raise refusal(
            source,
            f"column {source.image_column!r} of {url} is {image}, and not the bytes of "
            "image files; set image_column, or save the data set with its images inside",
        )
    of = label.value_type if _any(label, "list", "large_list", "fixed_size_list", "dictionary") else label
    if not _any(of, "integer", "boolean", "string", "large_string", "string_view"):
        raise refusal(
            source,
            f"column {source.label_column!r} of {url} is {label}: a class is a whole "
            "number or a word; set label_column, or save it as one of these",
        )


def _any(found: pa.DataType, *kinds: str) -> bool:
    return any(getattr(types, f"is_{kind}")(found) for kind in kinds)


def read_samples(
    source: HuggingFaceImages, part: int, parts: int, most: int | None = None
) -> Iterator[RawSample | Rejection]:
    """Read every `parts`-th row group from `part` on, of each at most so many rows; the others are not read."""
    number = 0
    for group, split in splits(source).items():
        for url in split_files(source, split):
            with closing(_Rows(url)) as rows:
                names = class_names(rows.schema, source.label_column)
                for place in range(rows.groups):
                    if number % parts == part:
                        read = rows.read(place, [source.image_column, source.label_column])
                        for row, found in enumerate(islice(read, most)):
                            key = f"{split}/{url.rsplit('/', 1)[-1]}/{place}/{row}"
                            yield _sample(key, group, found[source.image_column], found[source.label_column], names)
                    number += 1


def spread_samples(source: HuggingFaceImages, count: int) -> Iterator[RawSample | Rejection]:
    """About `count` rows from all over the data set; none of remote Arrow files, all of which would be read for them."""
    urls = [url for split in splits(source).values() for url in split_files(source, split)]
    if any(_is_costly(url) for url in urls):
        return iter(())
    groups = sum(_Rows.count(url) for url in urls)
    each = max(1, count // max(1, groups))
    return read_samples(source, 0, max(1, groups * each // count), each)


def _is_costly(url: str) -> bool:
    """Nothing of the file can be read without all of it."""
    return url.endswith(".arrow") and not storage.is_local(url)


def _sample(key: str, group: str, image: Any, label: Any, names: list[str] | None) -> RawSample | Rejection:
    data = image.get("bytes") if isinstance(image, dict) else image
    if not isinstance(data, bytes):
        where = image.get("path") if isinstance(image, dict) else None
        return Rejection(key, "no_pixels", f"only a path: {where}" if where else "")
    named = _named(label, names)
    if isinstance(named, Rejection):
        return replace(named, key=key)
    return RawSample(key, group, named, data)


def _named(label: Any, names: list[str] | None) -> tuple[str, ...] | Rejection:
    """The names of a row's classes, each once; a reject, without a key, where they cannot be told."""
    labels = label if isinstance(label, list) else [label]
    if any(one is None or one in (-1, "") for one in labels):  # -1: how hubs mark a split whose labels are kept back
        return Rejection("", "no_label", str(label))
    if names is not None and any(isinstance(one, int) and not 0 <= one < len(names) for one in labels):
        return Rejection("", "unknown_label", f"{label} of {len(names)} classes")
    named = (names[one] if names is not None and isinstance(one, int) else str(one) for one in labels)
    return tuple(dict.fromkeys(named))


def class_names(schema: pa.Schema, column: str) -> list[str] | None:
    """The class names of a ClassLabel feature, or of a list of them; None for labels that are words or plain numbers.

    Raises SpecError where what the library wrote about its columns cannot be read.
    """
    text = (schema.metadata or {}).get(b"huggingface", b"{}")
    try:
        feature = parse_json(text).get("info", {}).get("features", {}).get(column)
    except (ValueError, AttributeError) as error:
        raise SpecError(
            f"embeddings.data_sets: what is written about column {column!r} cannot be read: {text[:200]!r}; save it again"
        ) from error
    while isinstance(feature, list | dict):
        if isinstance(feature, list):
            feature = feature[0] if feature else None
        elif "names" in feature:
            return [str(name) for name in feature["names"]]
        else:
            feature = feature.get("feature")
    return None


def shown_classes(source: HuggingFaceImages) -> dict[str, set[tuple[str, ...]]] | None:
    """Which classes the rows of each split show, by our name for it; None where all of a remote Arrow file would be read."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for group, split in splits(source).items():
        found[group] = set()
        for url in split_files(source, split):
            if _is_costly(url):
                return None
            with closing(_Rows(url)) as rows:
                names = class_names(rows.schema, source.label_column)
                for place in range(rows.groups):
                    read = (_named(row[source.label_column], names) for row in rows.read(place, [source.label_column]))
                    found[group] |= {named for named in read if not isinstance(named, Rejection)}
    return found


def _schema(url: str) -> pa.Schema:
    """Raises SpecError for a file that is neither Parquet nor an Arrow stream, or that ends before its end."""
    with _readable(url), storage.open_read(url) as stream:
        if url.endswith(".parquet"):
            return pq.ParquetFile(stream, pre_buffer=False).schema_arrow
        schema = pa.ipc.open_stream(stream).schema
        stream.seek(0)
        end = END_OF_STREAM if stream.read(len(CONTINUED)) == CONTINUED else END_OF_STREAM[len(CONTINUED) :]
        stream.seek(-len(end), os.SEEK_END)
        if stream.read() != end:
            raise OSError("it ends before its end")
        return schema


@contextmanager
def _readable(url: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise SpecError(f"embeddings.data_sets: {url} cannot be read: {error}"[:500] + "; download it again") from error


class _Rows:
    """One file, Parquet or an Arrow stream, by row groups."""

    def __init__(self, url: str) -> None:
        """Raises SpecError for a file that is neither. A local Arrow file is mapped: only what is asked for is read."""
        self._url = url
        with _readable(url):
            local = url.endswith(".arrow") and storage.is_local(url)
            self._stream = pa.memory_map(str(storage.local_path(url))) if local else storage.open_read(url)
            self._parquet = self._batches = None
            try:
                if url.endswith(".parquet"):
                    self._parquet = pq.ParquetFile(self._stream, pre_buffer=False)
                    self.schema, self.groups = self._parquet.schema_arrow, self._parquet.num_row_groups
                else:
                    reader = pa.ipc.open_stream(self._stream)
                    self.schema, self._batches = reader.schema, list(reader)
                    self.groups = len(self._batches)
            except BaseException:
                self._stream.close()
                raise

    @classmethod
    def count(cls, url: str) -> int:
        """The row groups of a file."""
        with closing(cls(url)) as rows:
            return int(rows.groups)

    def read(self, group: int, columns: list[str]) -> Iterator[dict[str, Any]]:
        """Read row by row. Raises SpecError for pages that are damaged."""
        with _readable(self._url):
            if self._parquet is not None:
                # Without threads, as in tasks/shards.py.
                batches = self._parquet.iter_batches(ROWS, [group], columns, use_threads=False)
            else:
                assert self._batches is not None
                whole = self._batches[group].select(columns)
                batches = (whole.slice(start, ROWS) for start in range(0, whole.num_rows, ROWS))
            for batch in batches:
                yield from batch.to_pylist()

    def close(self) -> None:
        self._stream.close()
