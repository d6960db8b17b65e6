"""A stage holds a count and no list: the addresses of its shards follow from it."""

import pytest

from data_specs.ids import Lineage
from data_specs.shard import FileDigest
from data_specs.stage import Stage


def stage_with(count: int) -> Stage:
    return Stage(name="images", lineage=Lineage("abc"), folder="/root/images/abc", count=count, facts={})


@pytest.mark.parametrize(("count", "most"), [(0, 3), (1, 3), (3, 3), (10, 4), (7300, 64)])
def test_a_few_shards_are_spread_evenly_over_the_stage_and_none_is_taken_twice(count: int, most: int) -> None:
    taken = [address.index for address in stage_with(count).spread(most)]
    assert len(taken) == min(count, most) and taken == sorted(set(taken))
    gaps = [after - before for before, after in zip([*taken, count], [*taken[1:], count], strict=False)]
    assert not taken or (taken[0] == 0 and max(gaps[: len(taken)]) - min(gaps[: len(taken)]) <= 1)


def test_a_shard_is_named_by_its_stage_and_place_and_the_only_one_is_the_table() -> None:
    stage = stage_with(2)
    assert [address.file("json") for address in stage.shards()] == [
        "/root/images/abc/images-000000.json",
        "/root/images/abc/images-000001.json",
    ]
    content = FileDigest(bytes=3, sha256="0123456789abcdef" * 4)
    assert stage.shard(1).data_file("tar", content) == "/root/images/abc/images-000001.0123456789ab.tar"
    assert stage.table == stage.shard(0)
