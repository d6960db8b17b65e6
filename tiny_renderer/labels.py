"""Turn scenes into class indices: what the text encoder is taught to find in captions, and the judge in images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from models.tiny_world.scenes import DETAILS, Scene
from models.tiny_world.world import World

LABELS = ("concept", "place", "relation", "other", "texture", "detail")


def label_names(world: World) -> Mapping[str, tuple[str, ...]]:
    """The classes of each label; one more, without a name, stands for none."""
    names = world.names()
    return {
        "concept": names,
        "place": world.places,
        "relation": world.relations,
        "other": names,
        "texture": world.textures,
        "detail": DETAILS,
    }


def label_scenes(scenes: Iterable[Scene], world: World) -> NDArray[np.int64]:
    """Return class indices, (scenes, len(LABELS)); none is the class after the last."""
    numbers = {label: {name: k for k, name in enumerate(names)} for label, names in label_names(world).items()}
    rows = [[numbers[label].get(getattr(scene, label), len(numbers[label])) for label in LABELS] for scene in scenes]
    return np.array(rows, np.int64).reshape(-1, len(LABELS))
