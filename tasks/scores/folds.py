"""Which embeddings a probe learns from and is tested on: groups and copies enter, index arrays leave. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import ContractError

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fold:
    """`validations` are (fit, judge) pairs within `train`: hyper-parameters are chosen there, never on `test`."""

    name: str
    train: Rows
    test: Rows
    validations: tuple[tuple[Rows, Rows], ...]


def held_out_groups(groups: Sequence[str], copies: Sequence[int]) -> Iterator[Fold]:
    """One fold a group (an artist's style): all copies of the others teach, the first half of its copies test.

    A penalty is judged as the probe will be: learn from one of the other groups, name the pictures of the rest.
    """
    group_of, copy_of = np.array(groups), np.array(copies)
    names = sorted(set(groups))
    if len(names) < 3:
        raise ContractError(f"leaving one group out needs three groups; these embeddings have {', '.join(names)}")
    tested = copy_of < max(1, (copy_of.max() + 1) // 2)
    for name in names:
        train = np.flatnonzero(group_of != name)
        pairs = tuple(
            (train[group_of[train] == other], train[group_of[train] != other]) for other in names if other != name
        )
        yield Fold(name, train, np.flatnonzero((group_of == name) & tested), pairs)


def held_out_copies(groups: Sequence[str], copies: Sequence[int]) -> Iterator[Fold]:
    """One fold: the last copy of every concept in every group is the test, the last of the others the validation."""
    del groups
    copy_of = np.array(copies)
    last = int(copy_of.max())
    if last < 1:
        raise ContractError("fresh scenes need at least two copies of each picture: raise embeddings.copies")
    train = np.flatnonzero(copy_of < last)
    if last == 1:
        # Two copies leave one to learn from: penalties are then judged where they are fitted, which favours small ones.
        pairs: tuple[tuple[Rows, Rows], ...] = ((train, train),)
    else:
        pairs = ((np.flatnonzero(copy_of < last - 1), np.flatnonzero(copy_of == last - 1)),)
    yield Fold("fresh_scenes", train, np.flatnonzero(copy_of == last), pairs)
