"""What every test needs: addresses in a folder of its own, and a Prefect that is not the user's."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from data_specs.shard import ShardAddress

# Before anything imports Prefect: tests never touch a user's server or database.
os.environ.pop("PREFECT_API_URL", None)


@pytest.fixture
def address(tmp_path: Path) -> Callable[..., ShardAddress]:
    def make(index: int = 0, stage: str = "captions", lineage: str = "abc") -> ShardAddress:
        return ShardAddress(folder=str(tmp_path / stage / lineage), stage=stage, lineage=lineage, index=index)

    return make
