"""Captions of one shard enter one by one; whether an earlier one says the same, or nearly, leaves.

Near is a Jaccard similarity of the sets of word pairs. MinHash finds the candidates without comparing all with all; each
is then compared exactly, so that nothing is refused by the luck of hashing; of those just over the limit a few pass.
"""

from typing import Literal

from datasketch import MinHash, MinHashLSH

from tasks.captions.naming import words
from tasks.captions.screening import fingerprint

PERMUTATIONS = 64
SEED = 1
LOOSER = 0.75
"""The index is asked for less than the limit: at a limit of 0.85 it so finds 99 of 100 pairs just over it, not 30."""


class Kept:
    """The captions of a shard that were kept so far."""

    def __init__(self, similarity: float | None) -> None:
        """Without a similarity only exact copies are found."""
        self._similarity = similarity
        self._exact: set[str] = set()
        self._pairs: list[frozenset[str]] = []
        looser = None if similarity is None else LOOSER * similarity
        self._index = None if looser is None else MinHashLSH(threshold=looser, num_perm=PERMUTATIONS)

    def refuses(self, text: str) -> Literal["duplicate", "near_duplicate"] | None:
        if fingerprint(text) in self._exact:
            return "duplicate"
        if self._index is not None and self._similarity is not None:
            pairs = _pairs(text)
            for place in self._index.query(_hashed(pairs)):
                known = self._pairs[place]
                if len(pairs & known) >= self._similarity * len(pairs | known):
                    return "near_duplicate"
        return None

    def keep(self, text: str) -> None:
        self._exact.add(fingerprint(text))
        if self._index is not None:
            pairs = _pairs(text)
            self._index.insert(len(self._pairs), _hashed(pairs))
            self._pairs.append(pairs)


def _pairs(text: str) -> frozenset[str]:
    said = words(text)
    return frozenset(f"{first} {second}" for first, second in zip(said, said[1:], strict=False)) or frozenset(said)


def _hashed(pairs: frozenset[str]) -> MinHash:
    hashed = MinHash(num_perm=PERMUTATIONS, seed=SEED)
    hashed.update_batch([pair.encode() for pair in sorted(pairs)])
    return hashed
