"""Reading and writing shards. The only module that knows they are tar files.

A shard is files that share a stem: `<stem>.<digest>.tar` (the samples), `.parquet` (one metadata row a sample, so that DuckDB or
Polars can query a run without opening a tar), `.rejects.jsonl`, and the `.json` manifest that is written last, so that its
presence means the others are whole. Their names hold their digests, and the manifest is created only where there is none: of
hosts that make one shard at once, or wake late, the first to seal it counts, whatever bytes the others have made.
`.made.json` says who made it, when; nothing depends on it. A table (concepts, scores) is a shard without a tar.
"""

import errno
import json
import mmap
import os
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeVar, cast

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from data_specs.contract import Contract
from data_specs.errors import ContractError, EngineError, ShardError, in_one_line
from data_specs.rejection import Rejection
from data_specs.sample import Sample
from data_specs.shard import UNNAMED, FileDigest, MadeBy, ShardAddress, ShardManifest
from data_specs.stage import Stage
from tasks import storage
from tasks.events import Alive, Emit, Notice, ShardSealed, ignore
from tasks.file_digests import difference, file_digest
from tasks.mapped import mapped

Record = TypeVar("Record")
Outcomes = Callable[[], Iterable[Record | Rejection]]

REJECTION = TypeAdapter(Rejection)
ROWS_PER_GROUP = 4096
ALIVE_SECONDS = 5.0
"""At most so often a record that is made is a sign of life."""


def make_shard(
    address: ShardAddress,
    contract: Contract[Record],
    outcomes: Outcomes[Record],
    *,
    made_by: MadeBy = UNNAMED,
    emit: Emit = ignore,
    tar: bool = True,
    check: Callable[[int, Counter[str]], None] | None = None,
) -> ShardManifest:
    """Make a shard once: a sealed one is returned untouched, and one that another process makes is waited for.

    `made_by` is noted beside the shard.
    `check(accepted, rejected)` may raise before the shard is sealed; whatever raises leaves nothing that counts.
    """
    if done := sealed(address):
        return done

    def alive() -> None:
        emit(Alive(made_by.run, address.stage))

    def made() -> ShardManifest:
        manifest = sealed(address) or _write(address, contract, outcomes, made_by, alive, tar, check)
        emit(ShardSealed(made_by.run, address.stage, address.index))
        return manifest

    with storage.claim(address.folder, address.stem, wait=False) as mine:
        if mine:
            return made()
    emit(Notice(made_by.run, address.stage, f"{address.stem} is being made by another process: waiting for it"))
    with storage.claim(address.folder, address.stem, wait=True, meanwhile=alive):
        return made()


def _write(
    address: ShardAddress,
    contract: Contract[Record],
    outcomes: Outcomes[Record],
    made_by: MadeBy,
    alive: Callable[[], None],
    tar: bool,
    check: Callable[[int, Counter[str]], None] | None,
) -> ShardManifest:
    started = time.monotonic()
    _sweep(address)
    with ExitStack() as stack:
        suffixes = ["parquet", "rejects.jsonl", *(["tar"] if tar else [])]
        parts = {
            suffix: stack.enter_context(storage.parts_for(address.file(suffix), apart=True)) for suffix in suffixes
        }
        accepted, rejected = _fill(parts, contract, outcomes, alive)
        if check:
            check(accepted, rejected)
        files = {suffix: file_digest(part.open("rb")) for suffix, part in sorted(parts.items())}
        if done := sealed(address):  # by another host, meanwhile
            return done
        for suffix, part in parts.items():
            storage.publish(part, address.data_file(suffix, files[suffix]))
    made = asdict(made_by) | {"unix_time": round(time.time(), 3), "seconds": round(time.monotonic() - started, 3)}
    manifest = ShardManifest(
        stage=address.stage,
        lineage=address.lineage,
        index=address.index,
        record=contract.name,
        accepted=accepted,
        rejected=dict(sorted(rejected.items())),
        files=files,
    )
    return seal(address, manifest, json.dumps(made).encode())


def seal(address: ShardAddress, manifest: ShardManifest, made: bytes | None) -> ShardManifest:
    """Create the manifest of a shard whose data files are published, with a note of who made it.

    Where another host was first its manifest is returned, and of our files those go that it does not name. Raises EngineError
    where another host has put the shard aside in this moment: it is to be made again.
    """
    if storage.create(address.file("json"), manifest.model_dump_json(indent=2).encode()):
        if not all(storage.exists(address.beside(name)) for name in address.data_names(manifest)):
            storage.remove(address.file("json"))
            raise _put_aside_meanwhile(address)
        if made is not None:
            storage.write_bytes(address.file("made.json"), made, apart=True)
        return manifest
    first = sealed(address)
    if first is None:
        raise _put_aside_meanwhile(address)
    for name in sorted(address.data_names(manifest) - address.data_names(first)):
        discard(address, name)
    return first


def _put_aside_meanwhile(address: ShardAddress) -> EngineError:
    return EngineError(f"{address.stem} was put aside while it was sealed; making it again")


def discard(address: ShardAddress, name: str) -> None:
    """Remove a data file that no manifest names. It is moved away first: one that is sealed in this moment comes back."""
    url = address.beside(name)
    aside = address.beside(f"{storage.APART}/{name}.part-{storage.HOST}-{os.getpid()}")
    with suppress(FileNotFoundError):
        storage.move(url, aside)
        if (manifest := sealed(address)) and name in address.data_names(manifest):
            storage.move(aside, url)
        else:
            storage.remove(aside)


def _fill(
    parts: dict[str, Path], contract: Contract[Record], outcomes: Outcomes[Record], alive: Callable[[], None]
) -> tuple[int, Counter[str]]:
    accepted, rejected, rows, told = 0, Counter[str](), list[dict[str, Any]](), time.monotonic()
    with ExitStack() as stack:
        rejects = stack.enter_context(parts["rejects.jsonl"].open("w", encoding="utf-8"))
        table = stack.enter_context(pq.ParquetWriter(parts["parquet"], contract.schema))
        tar = None
        if "tar" in parts:
            stream = stack.enter_context(parts["tar"].open("wb"))
            tar = stack.enter_context(_webdataset().TarWriter(stream, mtime=0.0))
        for outcome in outcomes():
            if (now := time.monotonic()) - told > ALIVE_SECONDS:
                alive()
                told = now
            if isinstance(outcome, Rejection):
                rejects.write(json.dumps(asdict(outcome), ensure_ascii=False) + "\n")
                rejected[outcome.reason] += 1
                continue
            if tar is not None:
                tar.write(_named(contract.encode(outcome)))
            rows.append(contract.row(outcome))
            accepted += 1
            if len(rows) == ROWS_PER_GROUP:
                table.write_table(pa.Table.from_pylist(rows, schema=contract.schema))
                rows.clear()
        table.write_table(pa.Table.from_pylist(rows, schema=contract.schema))
    return accepted, rejected


def _named(sample: Sample) -> Sample:
    key = str(sample["__key__"])
    if not key or "." in key or "/" in key:
        raise ContractError(f"sample key {key!r} is empty or holds a dot or slash: WebDataset would cut it there")
    return sample


def _sweep(address: ShardAddress) -> None:
    """Remove what a killed process of this host left half-written; the claim is ours, so no other one is writing."""
    if storage.is_local(address.folder):
        for left in (storage.local_path(address.folder) / storage.APART).glob(
            f"{address.stem}.*.part-{storage.HOST}-*"
        ):
            left.unlink(missing_ok=True)


def sealed(address: ShardAddress) -> ShardManifest | None:
    """The manifest of a finished shard, or None. Raises ContractError if it is not the manifest of this address."""
    text = storage.read_bytes(address.file("json"))
    return None if text is None else as_sealed(address, text)


def manifests(stage: Stage) -> list[ShardManifest | None]:
    """`sealed` of every shard of a stage, which on object storage is many times faster than one by one."""
    return _sealed_all(list(stage.shards()))


def _sealed_all(addresses: Sequence[ShardAddress]) -> list[ShardManifest | None]:
    texts = storage.read_all([address.file("json") for address in addresses])
    return [None if text is None else as_sealed(address, text) for address, text in zip(addresses, texts, strict=True)]


def missing(stage: Stage) -> list[int]:
    """Indices of the shards without a manifest, by one listing of the folder; what stands in the manifests is not read."""
    known = set(storage.names(stage.folder))
    return [index for index in range(stage.count) if f"{stage.shard(index).stem}.json" not in known]


def sealed_shards(stage: Stage) -> list[ShardAddress]:
    """The addresses of those that have a manifest, in order."""
    absent = set(missing(stage))
    return [stage.shard(index) for index in range(stage.count) if index not in absent]


def as_sealed(address: ShardAddress, text: bytes) -> ShardManifest:
    try:
        manifest = ShardManifest.model_validate_json(text)
    except ValidationError as error:
        raise _fault(address, f"{address.stem}.json", f"is not a manifest ({error.errors()[0]['msg']})") from error
    if (manifest.stage, manifest.lineage, manifest.index) != (address.stage, address.lineage, address.index):
        what = f"describes {manifest.stage} {manifest.lineage} {manifest.index}: the file was moved"
        raise _fault(address, f"{address.stem}.json", what)
    return manifest


def data_file(address: ShardAddress, suffix: str) -> str:
    """Where the `tar`, `parquet` or `rejects.jsonl` of a sealed shard lies. Raises ContractError if it is not sealed."""
    return address.data_file(suffix, _content(address, require_sealed(address), suffix))


def _content(address: ShardAddress, manifest: ShardManifest, suffix: str) -> FileDigest:
    """Of a data file. Raises ContractError if the manifest names none of that kind."""
    content = manifest.files.get(suffix)
    if content is None:
        raise _fault(address, f"{address.stem}.json", f"names no {suffix}")
    return content


def _fault(address: ShardAddress, file: str, what: str) -> ShardError:
    """The file first, since lists cut a text short; then where it lies."""
    return ShardError(f"{file} {what}, in {address.folder}", address.stem)


def require_sealed(address: ShardAddress) -> ShardManifest:
    """Raises ContractError if it is not."""
    return _require([address])[0]


def require_manifests(stage: Stage) -> list[ShardManifest]:
    """Raises ContractError if a shard of the stage is not sealed."""
    return _require(list(stage.shards()))


def _require(addresses: Sequence[ShardAddress]) -> list[ShardManifest]:
    found = []
    for address, manifest in zip(addresses, _sealed_all(addresses), strict=True):
        if manifest is None:
            raise ContractError(
                f"{address.file('json')} is missing: the shard was never sealed; run {address.stage} first"
            )
        found.append(manifest)
    return found


def read_shard(address: ShardAddress, contract: Contract[Record], *, check_digest: bool = False) -> Iterator[Record]:
    """The records of a sealed shard, in written order. Raises ContractError if they are not what was sealed."""
    manifest = require_sealed(address)
    tar = _content(address, manifest, "tar")
    if check_digest and (what := difference(address, "tar", tar)):
        raise _fault(address, address.data_name("tar", tar), what)
    count = 0
    for sample in _samples(address, tar):
        yield contract.decode(sample)
        count += 1
    _require_count(address, count, manifest)


@dataclass(frozen=True, slots=True)
class OpenShard:
    """A shard's tar, and where in it the members of each sample lie, by key and extension: `data[members[key]["0.jpg"]]`."""

    data: mmap.mmap
    members: dict[str, dict[str, slice]]


def open_shard(address: ShardAddress) -> OpenShard:
    """A sealed shard whose members are read when they are asked for. Raises ContractError if it is not what was sealed."""
    manifest = require_sealed(address)
    tar = _content(address, manifest, "tar")
    members: dict[str, dict[str, slice]] = {}
    try:
        data = mapped(address.data_file("tar", tar), tar.sha256)
        with tarfile.open(fileobj=cast(IO[bytes], data), mode="r:") as archive:
            for item in archive:
                key, _, extension = item.name.partition(".")
                members.setdefault(key, {})[extension] = slice(item.offset_data, item.offset_data + item.size)
    except (tarfile.TarError, FileNotFoundError, EOFError, ValueError) as error:
        raise _fault(address, address.data_name("tar", tar), _unreadable(error)) from error
    _require_count(address, len(members), manifest)
    return OpenShard(data, members)


def _require_count(address: ShardAddress, count: int, manifest: ShardManifest) -> None:
    if count != manifest.accepted:
        name = address.data_name("tar", _content(address, manifest, "tar"))
        raise _fault(address, name, f"holds {count} samples; {manifest.accepted} were sealed")


def _unreadable(error: Exception) -> str:
    return "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {in_one_line(error)}"


def _webdataset() -> Any:
    """It brings torch along, which whoever only asks what is sealed should not wait for."""
    import webdataset

    return webdataset


def _samples(address: ShardAddress, tar: FileDigest) -> Iterator[Sample]:
    url, name = address.data_file("tar", tar), address.data_name("tar", tar)
    try:
        with storage.open_read(url) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            members = (
                {"fname": item.name, "data": _member(archive, item, address, name), "__url__": url} for item in archive
            )
            for sample in _webdataset().tariterators.group_by_keys(members):
                yield {name: value for name, value in sample.items() if name != "__url__"}
    except (tarfile.TarError, FileNotFoundError, EOFError) as error:
        raise _fault(address, name, _unreadable(error)) from error


def _member(archive: tarfile.TarFile, item: tarfile.TarInfo, address: ShardAddress, name: str) -> bytes:
    path = PurePosixPath(item.name)
    if not item.isreg() or path.is_absolute() or ".." in path.parts:
        raise _fault(address, name, f"holds {item.name!r}, which is no plain file inside the shard: refused")
    stream = archive.extractfile(item)
    return stream.read() if stream else b""


def read_rows(address: ShardAddress, columns: list[str] | None = None, *, check_digest: bool = False) -> pa.Table:
    """The metadata of a sealed shard, one row a sample, without its pixels; some columns of it where others are not wanted.

    `check_digest` raises ContractError for a file that is not as sealed.
    """
    manifest = require_sealed(address)
    for suffix, promised in manifest.files.items() if check_digest else ():
        if what := difference(address, suffix, promised):
            raise _fault(address, address.data_name(suffix, promised), what)
    parquet = _content(address, manifest, "parquet")
    try:
        with storage.open_read(address.data_file("parquet", parquet)) as stream:
            # Without threads: sidecars are small, and a process that ends while Arrow's threads start is aborted by libstdc++.
            return pq.ParquetFile(stream, pre_buffer=False).read(columns, use_threads=False)
    except (pa.ArrowException, OSError) as error:  # Arrow raises OSError without a number for what it cannot take apart
        if getattr(error, "errno", None) not in (None, errno.ENOENT):
            raise
        raise _fault(address, address.data_name("parquet", parquet), _unreadable(error)) from error


def read_rejects(address: ShardAddress) -> list[Rejection]:
    """What was refused, and why; nothing of a shard that is not sealed. Raises ContractError for a file of something else."""
    manifest = sealed(address)
    if manifest is None:
        return []
    content = _content(address, manifest, "rejects.jsonl")
    text = storage.read_bytes(address.data_file("rejects.jsonl", content)) or b""
    try:
        # What a language model writes may hold other ends of lines (U+0085, U+2028), which JSON leaves as they are.
        return [REJECTION.validate_json(line) for line in text.split(b"\n") if line]
    except ValidationError as error:
        raise _fault(
            address, address.data_name("rejects.jsonl", content), f"is damaged: {error.errors()[0]['msg']}"
        ) from error
