"""Zero-shot classification: compare images with the prompts of each class, without any training. Pure.

Legend: C classes, D width of the space.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from data_specs.embedding import Embedding
from data_specs.errors import ContractError
from models.probes.knn import unit
from models.probes.labels import Features
from tasks.scores.protocols import Problem, ProtocolResult


def by_text(problem: Problem, classes: Sequence[str], prompts: Sequence[Embedding]) -> ProtocolResult:
    """Decide by cosine with the mean of each class's normalised prompts, as CLIP's ensembles do.

    Raises ContractError for a class without a prompt.
    """
    classes_CD, templates = class_embeddings(classes, prompts)
    decisions_MC = unit(problem.features_ND[problem.fold.test]) @ classes_CD.T
    return ProtocolResult("zero_shot", (decisions_MC,), {"templates": templates})


def class_embeddings(classes: Sequence[str], prompts: Sequence[Embedding]) -> tuple[Features, int]:
    """[C, D] in the order of `classes`, and how many templates each class has."""
    features: dict[str, list[Features]] = defaultdict(list)
    for prompt in prompts:
        features[prompt.labels[0]].append(np.frombuffer(prompt.feature, "<f4"))
    if lacking := [name for name in classes if name not in features]:
        raise ContractError(f"no prompt names the class {lacking[0]!r}; extract the embeddings again")
    means = [unit(np.stack(features[name])).mean(0) for name in classes]
    return unit(np.stack(means)), max(map(len, features.values()))
