"""Pictures and prompts in one space enter; each picture's nearest class leaves: nothing is learned. Pure.

Legend: C classes, D width of the space.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from data_specs.embedding import Embedding
from data_specs.errors import ContractError
from models.probes.knn import unit
from models.probes.labels import Features
from tasks.scores.protocols import Judged, Problem


def by_text(problem: Problem, names: Sequence[str], prompts: Sequence[Embedding]) -> Judged:
    """Cosine with each class's prompts, of which each is normalised, then their mean (CLIP's ensembles).

    Raises ContractError for a class without a prompt.
    """
    classes_CD, templates = ensembled(names, prompts)
    decisions_MC = unit(problem.features_ND[problem.fold.test]) @ classes_CD.T
    return Judged("zero_shot", (decisions_MC,), {"templates": templates})


def ensembled(names: Sequence[str], prompts: Sequence[Embedding]) -> tuple[Features, int]:
    """[C, D] in the order of `names`, and how many templates each class has."""
    said: dict[str, list[Features]] = defaultdict(list)
    for one in prompts:
        said[one.labels[0]].append(np.frombuffer(one.feature, "<f4"))
    if lacking := [name for name in names if name not in said]:
        raise ContractError(f"no prompt names the class {lacking[0]!r}; extract the embeddings again")
    means = [unit(np.stack(said[name])).mean(0) for name in names]
    return unit(np.stack(means)), max(map(len, said.values()))
