"""Split embeddings into training and test rows by their groups and copies. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_specs.benchmark_image import TEST, TRAIN, VALIDATION
from data_specs.errors import ContractError

Rows = NDArray[np.int64]
VALIDATION_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Fold:
    """`validations` are (fit, validate) pairs within `train`: hyper-parameters are chosen there, never on `test`."""

    name: str
    train: Rows
    test: Rows
    validations: tuple[tuple[Rows, Rows], ...]


def held_out_groups(groups: Sequence[str], copies: Sequence[int], seed: int) -> Iterator[Fold]:
    """One fold for each group (an artist's style): train on all copies of the other groups, test on the first half of its copies.

    A penalty is validated as the probe will be tested: fit on one of the other groups, validate on the rest of them.
    """
    del seed
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


def held_out_copies(groups: Sequence[str], copies: Sequence[int], seed: int) -> Iterator[Fold]:
    """One fold: the last copy of every concept in every group is the test, the last of the others the validation."""
    del groups, seed
    copy_of = np.array(copies)
    last = int(copy_of.max())
    if last < 1:
        raise ContractError("fresh scenes need at least two copies of each image: raise embeddings.copies")
    train = np.flatnonzero(copy_of < last)
    if last == 1:
        # Two copies leave one to train on: penalties are then validated where they are fitted, which favours small ones.
        pairs: tuple[tuple[Rows, Rows], ...] = ((train, train),)
    else:
        pairs = ((np.flatnonzero(copy_of < last - 1), np.flatnonzero(copy_of == last - 1)),)
    yield Fold("fresh_scenes", train, np.flatnonzero(copy_of == last), pairs)


def given_splits(groups: Sequence[str], copies: Sequence[int], seed: int) -> Iterator[Fold]:
    """One fold, as the data set says: its own validation split, else a random fifth of its training split.

    What is chosen on the validation is fitted anew on both (SynCLR appendix B.5).
    """
    del copies
    group_of = np.array(groups)
    train, validation, test = (np.flatnonzero(group_of == split) for split in (TRAIN, VALIDATION, TEST))
    if not len(train) or not len(test):
        raise ContractError(
            f"these embeddings are of {', '.join(sorted(set(groups)))}; a probe needs images of {TRAIN} and {TEST}: see "
            "the rejects of the benchmark's shards, or name the splits in embeddings.data_sets"
        )
    if len(validation):
        yield Fold("test", np.sort(np.concatenate([train, validation])), test, ((train, validation),))
        return
    shuffled = np.random.default_rng(seed).permutation(train)
    validated = max(1, round(VALIDATION_SHARE * len(train)))
    if validated == len(train):
        raise ContractError("one image to train on leaves none to choose hyper-parameters on")
    yield Fold("test", train, test, ((np.sort(shuffled[validated:]), np.sort(shuffled[:validated])),))
