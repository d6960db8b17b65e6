"""Find captions that repeat an earlier one, exactly or nearly: within a shard, or across shards by keys.

Two captions are near if their sets of word pairs have a Jaccard similarity of at least the limit. MinHash finds candidates
without comparing all with all; each is then compared exactly, so a hash collision refuses nothing. MinHash misses a few
pairs just over the limit.
"""

import hashlib
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.captions.naming import words
from tasks.captions.screening import fingerprint

if TYPE_CHECKING:  # it brings SciPy, a second that the flow of every run would wait for
    from datasketch import MinHash, MinHashLSH

PERMUTATIONS = 64
SEED = 1
LOOSER = 0.75
"""The index's threshold is this share of the limit: at a limit of 0.85 it finds 99 of 100 pairs just over it, instead of 30."""


class AcceptedCaptions:
    """The captions of a shard that were accepted so far."""

    def __init__(self, similarity: float | None) -> None:
        """`similarity` is the limit; with None only exact copies are found."""
        self._similarity = similarity
        self._exact: set[str] = set()
        self._pairs: list[frozenset[str]] = []
        self._index = None if similarity is None else _index(similarity)

    def refuses(self, text: str) -> Literal["duplicate", "near_duplicate"] | None:
        if fingerprint(text) in self._exact:
            return "duplicate"
        if self._index is not None and self._similarity is not None:
            pairs = _pairs(text)
            for place in self._index.query(_hashed(pairs)):
                if _near(pairs, self._pairs[place], self._similarity):
                    return "near_duplicate"
        return None

    def add(self, text: str) -> None:
        self._exact.add(fingerprint(text))
        if self._index is not None:
            pairs = _pairs(text)
            self._index.insert(len(self._pairs), _hashed(pairs))
            self._pairs.append(pairs)


def keys(texts: Sequence[str], similarity: float | None) -> NDArray[np.int64]:
    """One row a text: the hash of its fingerprint, then one of each MinHash band; without a similarity only the first.

    Texts that share no key in any column are not repeats of each other, or are among the few pairs that MinHash misses.
    """
    first = [_number(fingerprint(text).encode()) for text in texts]
    if similarity is None:
        return np.array(first, np.int64).reshape(-1, 1)
    index = _index(similarity)
    hashed = np.empty((len(texts), 1 + index.b), np.int64)
    hashed[:, 0] = first
    for row, text in enumerate(texts):
        data, width = _hashed(_pairs(text)).hashvalues.astype("<u8").tobytes(), 8 * index.r
        hashed[row, 1:] = [_number(data[band * width : (band + 1) * width], band + 1) for band in range(index.b)]
    return hashed


def repeats(text: str, known: str, similarity: float | None) -> Literal["duplicate", "near_duplicate"] | None:
    """Whether a text repeats a known one, compared exactly."""
    # Copies have the same pairs, so the cheaper test settles nearly all candidates.
    if similarity is not None and not _near(_remembered(text), _remembered(known), similarity):
        return None
    if fingerprint(text) == fingerprint(known):
        return "duplicate"
    return None if similarity is None else "near_duplicate"


def _near(pairs: frozenset[str], known: frozenset[str], similarity: float) -> bool:
    fewer, more = sorted((len(pairs), len(known)))
    if fewer < similarity * more:
        return False
    shared = len(pairs & known)
    return shared >= similarity * (fewer + more - shared)


def _index(similarity: float) -> "MinHashLSH":
    from datasketch import MinHashLSH

    return MinHashLSH(threshold=LOOSER * similarity, num_perm=PERMUTATIONS)


def _number(data: bytes, place: int = 0) -> int:
    """A signed 64-bit hash, as Arrow and NumPy hold it; `place` tells bands apart."""
    found = hashlib.blake2b(data, digest_size=8, salt=bytes([place])).digest()
    return int.from_bytes(found, "little", signed=True)


def _pairs(text: str) -> frozenset[str]:
    found = words(text)
    return frozenset(f"{first} {second}" for first, second in zip(found, found[1:], strict=False)) or frozenset(found)


# A caption is compared with many others: its pairs are cached meanwhile.
_remembered = lru_cache(maxsize=50_000)(_pairs)


@cache
def _empty() -> "MinHash":
    from datasketch import MinHash

    # Its permutations are drawn once: 70 instead of 420 us a caption.
    return MinHash(num_perm=PERMUTATIONS, seed=SEED)


def _hashed(pairs: frozenset[str]) -> "MinHash":
    hashed = _empty().copy()
    hashed.update_batch([pair.encode() for pair in sorted(pairs)])
    return hashed
