"""Which shards are whose."""

import pytest

from data_specs.errors import SpecError
from flows.runs.slices import Slice


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_every_shard_is_in_exactly_one_slice_and_slices_differ_by_one_at_most(of: int) -> None:
    shares = [Slice(number, of).share(range(20)) for number in range(1, of + 1)]
    assert sorted(index for share in shares for index in share) == list(range(20))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    # By the shard's own number, and not by its place among those that are missing: these change while others work.
    assert Slice(1, of).share([of, 2 * of + 1, 3 * of]) == ([of, 2 * of + 1, 3 * of] if of == 1 else [of, 3 * of])


def test_they_are_written_as_one_speaks_of_them() -> None:
    assert Slice.parse(" 2 / 8 ") == Slice(2, 8) and str(Slice(2, 8)) == "2/8"


@pytest.mark.parametrize("text", ["0/8", "9/8", "1/0", "8", "", "a/b", "1/2/3", "-1/2", "1.0/2"])
def test_others_are_refused_with_the_way_out(text: str) -> None:
    with pytest.raises(SpecError, match="from 1 to N"):
        Slice.parse(text)
