"""The files of a sealed shard, by what they are: the names of its data files hold their digests."""

from pathlib import Path

from data_specs.shard import ShardAddress
from tasks.shards import require_sealed
from tasks.storage import local_path


def file_of(address: ShardAddress, suffix: str) -> Path:
    """`suffix` as in `ShardAddress.file` or `ShardAddress.data_name`. Raises ContractError if the shard is not sealed."""
    content = require_sealed(address).files.get(suffix)
    return local_path(address.data_file(suffix, content) if content else address.file(suffix))
