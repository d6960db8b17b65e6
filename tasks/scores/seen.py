"""Tell classes that were generated (seen) from those that were not (unseen). Pure.

SynCLR writes its captions about the classes that it is then tested on, and reports other classes apart (its Table 9).
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.probes.labels import Labels


@dataclass(frozen=True, slots=True)
class Subset:
    """`rows` are those that belong to it; where an image may show several classes, `classes` are those that belong to it."""

    name: str
    rows: NDArray[np.bool_]
    classes: NDArray[np.bool_]


def plain(name: str) -> str:
    """Lower case with spaces: `African_elephant` is `african elephant`."""
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())


def subsets(
    concepts: Set[str], shown: Sequence[Sequence[str]], classes: Sequence[str], labels: Labels
) -> tuple[Subset, ...]:
    """`all`; if some classes are unseen also `unseen`, and `seen` if others are seen.

    A class is seen if a concept has its name. `shown` are the names of the classes that each row shows, `classes` all names.
    """
    known = {plain(concept) for concept in concepts}
    everything = Subset("all", np.ones(len(shown), np.bool_), np.ones(len(classes), np.bool_))
    if labels.ndim == 2:
        seen = np.array([plain(name) in known for name in classes])
        parts = (Subset("seen", everything.rows, seen), Subset("unseen", everything.rows, ~seen))
    else:
        seen = np.array([all(plain(name) in known for name in names) for names in shown])
        parts = (Subset("seen", seen, everything.classes), Subset("unseen", ~seen, everything.classes))
    if seen.all():
        return (everything,)
    return (everything, *parts) if seen.any() else (everything, parts[1])
