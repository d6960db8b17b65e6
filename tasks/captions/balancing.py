"""Find which concepts a caption names, and thin out captions whose concepts are named often. Pure.

MetaCLIP's balancing: with n(c) captions that name concept c, a caption is kept with probability max over its concepts of
t / max(n(c), t). So rare concepts keep all their captions, and frequent ones about t each.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_specs.concept import Concept
from data_specs.ids import CaptionId, ConceptId, seed_of
from tasks.captions.naming import forms, words


class NamedConcepts:
    """The concept table, indexed by the last word of each name, so that a caption costs one look-up a word."""

    def __init__(self, concepts: Sequence[Concept]) -> None:
        self._rows = {concept.id: row for row, concept in enumerate(concepts)}
        self._ending: dict[str, list[tuple[tuple[str, ...], int]]] = defaultdict(list)
        for row, concept in enumerate(concepts):
            *before, last = words(concept.name) or [""]
            self._ending[last].append((tuple(before), row))

    def __len__(self) -> int:
        return len(self._rows)

    def of(self, text: str, about: ConceptId) -> tuple[int, ...]:
        """Rows of the table: the concept that the caption was composed for, and each name in it (whole words, plurals too)."""
        found, text_words = {self._rows[about]}, words(text)
        for place, word in enumerate(text_words):
            for form in forms(word):
                for before, row in self._ending.get(form, ()):
                    if not before or tuple(text_words[max(0, place - len(before)) : place]) == before:
                        found.add(row)
        return tuple(sorted(found))


def counted(named: Sequence[tuple[int, ...]], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """`counts` with these captions added."""
    rows = np.fromiter((row for names in named for row in names), np.int64)
    return counts + np.bincount(rows, minlength=len(counts))


def is_kept(caption: CaptionId, names: tuple[int, ...], counts: NDArray[np.int64], most: int, seed: int) -> bool:
    """`most` is t. The random draw depends on the caption's id and the run's seed alone."""
    share = max(most / max(int(counts[row]), most) for row in names)
    return seed_of("balance", seed, caption) < share * 2**63
