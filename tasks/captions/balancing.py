"""A caption and how often each concept was named enter; which concepts it names, and whether it is drawn, leaves. Pure.

MetaCLIP's balancing: with n(c) captions that name concept c, a caption is kept with probability max over its concepts of
t / max(n(c), t). So what is rare stays, and of what is frequent about t a concept.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_specs.concept import Concept
from data_specs.ids import CaptionId, ConceptId, seed_of
from tasks.captions.naming import forms, words

# The words of a run's captions are few and come again: found once, a caption costs a look-up a word.


class NamedConcepts:
    """The concept table, indexed by the last word of each name."""

    def __init__(self, concepts: Sequence[Concept]) -> None:
        self._rows = {concept.id: row for row, concept in enumerate(concepts)}
        self._ending: dict[str, list[tuple[tuple[str, ...], int]]] = defaultdict(list)
        for row, concept in enumerate(concepts):
            *before, last = words(concept.name) or [""]
            self._ending[last].append((tuple(before), row))

    def __len__(self) -> int:
        return len(self._rows)

    def of(self, text: str, about: ConceptId) -> tuple[int, ...]:
        """Rows of the table: the concept that the caption was asked for, and every name in it, whole words, plurals too."""
        found, said = {self._rows[about]}, words(text)
        for place, word in enumerate(said):
            for form in forms(word):
                for before, row in self._ending.get(form, ()):
                    if not before or tuple(said[max(0, place - len(before)) : place]) == before:
                        found.add(row)
        return tuple(sorted(found))


def counted(named: Sequence[tuple[int, ...]], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The counts with these captions in them."""
    rows = np.fromiter((row for names in named for row in names), np.int64)
    return counts + np.bincount(rows, minlength=len(counts))


def is_drawn(caption: CaptionId, names: tuple[int, ...], counts: NDArray[np.int64], most: int, seed: int) -> bool:
    """`most` is t; the draw follows from the caption's id and the run's seed alone."""
    share = max(most / max(int(counts[row]), most) for row in names)
    return seed_of("balance", seed, caption) < share * 2**63
