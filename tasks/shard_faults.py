"""Find what is wrong with sealed shards, in words: by their sizes alone, or by every digest and record."""

from collections.abc import Mapping
from typing import Any

from data_specs.contract import Contract
from data_specs.errors import ContractError, ShardError
from data_specs.shard import ShardAddress, ShardManifest
from tasks.file_digests import difference
from tasks.shards import data_file, read_rejects, read_rows, read_shard, require_sealed


def verify_shard(address: ShardAddress, contract: Contract[Any]) -> list[str]:
    """Everything wrong with a shard, in words; empty if each file, digest, count and record is as sealed."""
    try:
        manifest = require_sealed(address)
    except ContractError as error:
        return [fault_of(error)]
    return _damaged(address, manifest) or _miscounted(address, manifest, contract)


def unlike_sealed(address: ShardAddress, manifest: ShardManifest, sizes: Mapping[str, int]) -> list[str]:
    """Files that are missing or of another size than was sealed, in words; `sizes` are those of the files in its folder."""
    faults = []
    for suffix, promised in manifest.files.items():
        name = address.data_name(suffix, promised)
        if name not in sizes:
            faults.append(f"{name} is missing")
        elif sizes[name] != promised.bytes:
            faults.append(f"{name} has {sizes[name]:,} bytes, {promised.bytes:,} were sealed")
    return faults


def fault_of(error: ContractError) -> str:
    """What is wrong, without the way out: for lists of faults."""
    return error.fault if isinstance(error, ShardError) else str(error)


def _damaged(address: ShardAddress, manifest: ShardManifest) -> list[str]:
    return [
        f"{address.data_file(suffix, promised)} {what}"
        for suffix, promised in manifest.files.items()
        if (what := difference(address, suffix, promised))
    ]


def _miscounted(address: ShardAddress, manifest: ShardManifest, contract: Contract[Any]) -> list[str]:
    faults = []
    try:
        if "tar" in manifest.files:
            for _ in read_shard(address, contract):
                pass
        if (rows := read_rows(address).num_rows) != manifest.accepted:
            faults.append(f"{data_file(address, 'parquet')} has {rows} rows; {manifest.accepted} were sealed")
        if (rejects := len(read_rejects(address))) != sum(manifest.rejected.values()):
            faults.append(f"{data_file(address, 'rejects.jsonl')} has {rejects} lines; {manifest.rejected} were sealed")
    except ContractError as error:
        faults.append(fault_of(error))
    return faults
