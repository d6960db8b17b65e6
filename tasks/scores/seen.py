"""Class names and the concept table's names enter; which test rows count as seen, and which not, leaves. Pure.

SynCLR writes its captions about the classes that it is then tested on; what it does on other classes is told apart (its
Table 9).
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.probes.labels import Answers


@dataclass(frozen=True, slots=True)
class Subset:
    """`rows` are those that count; where a picture may show several classes, `classes` are those that count."""

    name: str
    rows: NDArray[np.bool_]
    classes: NDArray[np.bool_]


def plain(name: str) -> str:
    """`African_elephant` is `african elephant`."""
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())


def subsets(
    concepts: Set[str], labels: Sequence[Sequence[str]], names: Sequence[str], answers: Answers
) -> tuple[Subset, ...]:
    """`all`; where some were not seen `unseen` too, and `seen` if others were. A class was seen if a concept goes by its name."""
    known = {plain(concept) for concept in concepts}
    everything = Subset("all", np.ones(len(labels), np.bool_), np.ones(len(names), np.bool_))
    if answers.ndim == 2:
        seen = np.array([plain(name) in known for name in names])
        parts = (Subset("seen", everything.rows, seen), Subset("unseen", everything.rows, ~seen))
    else:
        seen = np.array([all(plain(label) in known for label in shown) for shown in labels])
        parts = (Subset("seen", seen, everything.classes), Subset("unseen", ~seen, everything.classes))
    if seen.all():
        return (everything,)
    return (everything, *parts) if seen.any() else (everything, parts[1])
