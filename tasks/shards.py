"""Reading and writing shards. The only module that knows they are tar files.

A shard is files that share a stem: `.tar` (the samples), `.parquet` (one metadata row a sample, so that DuckDB or
Polars can query a run without opening a tar), `.rejects.jsonl`, `.made.json` (who made it, when; nothing depends on
it), and the `.json` manifest that is written last, so that its presence means the others are whole. A table (concepts,
scores) is a shard without a tar: its Parquet holds everything.
"""

import errno
import hashlib
import json
import mmap
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeVar, cast

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from data_specs.contract import Contract
from data_specs.errors import ContractError, in_one_line
from data_specs.rejection import Rejection
from data_specs.sample import Sample
from data_specs.shard import UNNAMED, FileDigest, MadeBy, ShardAddress, ShardManifest
from data_specs.stage import Stage
from tasks import storage
from tasks.events import Alive, Emit, Notice, ignore
from tasks.mapped import mapped

Record = TypeVar("Record")
Outcomes = Callable[[], Iterable[Record | Rejection]]

REJECTION = TypeAdapter(Rejection)
ROWS_PER_GROUP = 4096
CHUNK = 1 << 20
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

    with storage.claim(address.folder, address.stem, wait=False) as mine:
        if mine:
            return sealed(address) or _write(address, contract, outcomes, made_by, alive, tar, check)
    emit(Notice(made_by.run, address.stage, f"{address.stem} is being made by another process: waiting for it"))
    with storage.claim(address.folder, address.stem, wait=True, meanwhile=alive):
        return sealed(address) or _write(address, contract, outcomes, made_by, alive, tar, check)


def missing_first(
    addresses: Sequence[ShardAddress], made_by: MadeBy = UNNAMED, emit: Emit = ignore
) -> Iterator[ShardAddress]:
    """Yields the shards that are not sealed yet: those nobody is making first, those another process makes last."""
    later = []
    for address in addresses:
        if sealed(address):
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
        files = {suffix: _digest(part.open("rb")) for suffix, part in sorted(parts.items())}
        for suffix, part in parts.items():
            storage.publish(part, address.file(suffix))
    made = asdict(made_by) | {"unix_time": round(time.time(), 3), "seconds": round(time.monotonic() - started, 3)}
    storage.write_bytes(address.file("made.json"), json.dumps(made).encode(), apart=True)
    manifest = ShardManifest(
        stage=address.stage,
        lineage=address.lineage,
        index=address.index,
        record=contract.name,
        accepted=accepted,
        rejected=dict(sorted(rejected.items())),
        files=files,
    )
    storage.write_bytes(address.file("json"), manifest.model_dump_json(indent=2).encode(), apart=True)
    return manifest


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
    """Remove what a killed process left half-written; the claim is ours, so nobody else is writing."""
    if storage.is_local(address.folder):
        for left in (storage.local_path(address.folder) / storage.APART).glob(f"{address.stem}.*.part-*"):
            left.unlink(missing_ok=True)


def _digest(stream: IO[bytes]) -> FileDigest:
    size, sha = 0, hashlib.sha256()
    with stream:
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            sha.update(chunk)
    return FileDigest(bytes=size, sha256=sha.hexdigest())


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
        raise ContractError(
            f"{address.file('json')} is not a manifest ({error.errors()[0]['msg']}); remove it to make the shard again"
        ) from error
    if (manifest.stage, manifest.lineage, manifest.index) != (address.stage, address.lineage, address.index):
        raise ContractError(
            f"{address.file('json')} describes {manifest.stage} {manifest.lineage} {manifest.index}; the file was moved"
        )
    return manifest


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


def put_aside(address: ShardAddress, reason: str) -> str | None:
    """Move the files of a damaged shard to `damaged/<stem>-<number>/` of its folder, `reason.json` beside them.

    Returns that folder, or None where there is no manifest, so that nothing counts as a shard. Nothing is deleted; the
    manifest goes first, so that the shard counts as not made from then on.
    """
    with storage.claim(address.folder, address.stem, wait=True):
        here = [entry for entry in storage.names(address.folder) if entry.startswith(f"{address.stem}.")]
        manifest = f"{address.stem}.json"
        if manifest not in here:
            return None
        before = [entry for entry in storage.names(f"{address.folder}/damaged") if entry.startswith(f"{address.stem}-")]
        folder = f"{address.folder.rstrip('/')}/damaged/{address.stem}-{len(before)}"
        storage.write_bytes(f"{folder}/reason.json", reason.encode())
        for entry in sorted(here, key=lambda entry: entry != manifest):
            storage.move(f"{address.folder.rstrip('/')}/{entry}", f"{folder}/{entry}")
        return folder


def read_shard(address: ShardAddress, contract: Contract[Record], *, check_digest: bool = False) -> Iterator[Record]:
    """The records of a sealed shard, in written order. Raises ContractError if they are not what was sealed."""
    manifest = require_sealed(address)
    if check_digest and (found := _digest(storage.open_read(address.file("tar")))) != manifest.files["tar"]:
        raise ContractError(f"{address.file('tar')} is damaged: sha256 {found.sha256[:12]} is not the sealed one")
    count = 0
    for sample in _samples(address.file("tar")):
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
    manifest, url = require_sealed(address), address.file("tar")
    members: dict[str, dict[str, slice]] = {}
    try:
        data = mapped(url, manifest.files["tar"].sha256)
        with tarfile.open(fileobj=cast(IO[bytes], data), mode="r:") as archive:
            for item in archive:
                key, _, extension = item.name.partition(".")
                members.setdefault(key, {})[extension] = slice(item.offset_data, item.offset_data + item.size)
    except (tarfile.TarError, FileNotFoundError, EOFError, ValueError) as error:
        raise ContractError(f"{url} cannot be read: {error}") from error
    _require_count(address, len(members), manifest)
    return OpenShard(data, members)


def _require_count(address: ShardAddress, count: int, manifest: ShardManifest) -> None:
    if count != manifest.accepted:
        raise ContractError(f"{address.file('tar')} holds {count} samples; {manifest.accepted} were sealed")


def _webdataset() -> Any:
    """It brings torch along, which whoever only asks what is sealed should not wait for."""
    import webdataset

    return webdataset


def _samples(url: str) -> Iterator[Sample]:
    try:
        with storage.open_read(url) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            members = ({"fname": item.name, "data": _content(archive, item, url), "__url__": url} for item in archive)
            for sample in _webdataset().tariterators.group_by_keys(members):
                yield {name: value for name, value in sample.items() if name != "__url__"}
    except (tarfile.TarError, FileNotFoundError, EOFError) as error:
        raise ContractError(f"{url} cannot be read: {error}") from error


def _content(archive: tarfile.TarFile, item: tarfile.TarInfo, url: str) -> bytes:
    path = PurePosixPath(item.name)
    if not item.isreg() or path.is_absolute() or ".." in path.parts:
        raise ContractError(f"{url} holds {item.name!r}, which is no plain file inside the shard: refused")
    stream = archive.extractfile(item)
    return stream.read() if stream else b""


def read_rows(address: ShardAddress, columns: list[str] | None = None, *, check_digest: bool = False) -> pa.Table:
    """The metadata of a sealed shard, one row a sample, without its pixels; some columns of it where others are not wanted.

    `check_digest` raises ContractError for a file that is not as sealed.
    """
    manifest = require_sealed(address)
    if check_digest and (faults := _damaged(address, manifest)):
        raise ContractError(f"{'; '.join(faults)}; `synclr redraw --missing RUN` makes it again")
    url = address.file("parquet")
    try:
        with storage.open_read(url) as stream:
            # Without threads: sidecars are small, and a process that ends while Arrow's threads start is aborted by libstdc++.
            return pq.ParquetFile(stream, pre_buffer=False).read(columns, use_threads=False)
    except (pa.ArrowException, OSError) as error:  # Arrow raises OSError without a number for what it cannot take apart
        if getattr(error, "errno", None) not in (None, errno.ENOENT):
            raise
        raise ContractError(f"{url} cannot be read: {in_one_line(error)}") from error


def read_rejects(address: ShardAddress) -> list[Rejection]:
    """What was refused, and why. Raises ContractError for a file that holds something else."""
    url = address.file("rejects.jsonl")
    text = storage.read_bytes(url) or b""
    try:
        # What a language model writes may hold other ends of lines (U+0085, U+2028), which JSON leaves as they are.
        return [REJECTION.validate_json(line) for line in text.split(b"\n") if line]
    except ValidationError as error:
        raise ContractError(f"{url} is damaged: {error.errors()[0]['msg']}") from error


def verify_shard(address: ShardAddress, contract: Contract[Any]) -> list[str]:
    """Everything wrong with a shard, in words; empty if each file, digest, count and record is as sealed."""
    try:
        manifest = require_sealed(address)
    except ContractError as error:
        return [str(error)]
    return _damaged(address, manifest) or _miscounted(address, manifest, contract)


def _damaged(address: ShardAddress, manifest: ShardManifest) -> list[str]:
    faults = []
    for suffix, promised in manifest.files.items():
        try:
            found = _digest(storage.open_read(address.file(suffix)))
        except FileNotFoundError:
            faults.append(f"{address.file(suffix)} is missing")
            continue
        if found != promised:
            faults.append(f"{address.file(suffix)} has {found.bytes} bytes, sha256 {found.sha256[:12]}: not as sealed")
    return faults


def _miscounted(address: ShardAddress, manifest: ShardManifest, contract: Contract[Any]) -> list[str]:
    faults = []
    try:
        if "tar" in manifest.files:
            for _ in read_shard(address, contract):
                pass
        if (rows := read_rows(address).num_rows) != manifest.accepted:
            faults.append(f"{address.file('parquet')} has {rows} rows; {manifest.accepted} were sealed")
        if (rejects := len(read_rejects(address))) != sum(manifest.rejected.values()):
            faults.append(f"{address.file('rejects.jsonl')} has {rejects} lines; {manifest.rejected} were sealed")
    except ContractError as error:
        faults.append(str(error))
    return faults
