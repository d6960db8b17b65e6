"""Sample the description and the framing of a training scene from a seed, which follows from its split and number."""

from __future__ import annotations

import hashlib

import numpy as np

from models.tiny_world.scenes import DETAILS, Scene
from models.tiny_world.world import World

SHARES = {"alone": 0.68, "related": 0.22, "place": 0.06, "texture": 0.04}
"""How many of the scenes show one concept, two in a relation, a place, a texture."""
PLAUSIBLE = 0.8
"""How often a concept stands where one would expect it; the rest keeps concept and place separable."""
DETAILED = 0.1
CLOSE = 0.8
"""How often a training scene is framed close; the rest has the evaluation's wider framing, so that neither is strange."""


def scene_seed(split: str, number: int) -> int:
    """Return the 63-bit seed of scene ``number`` of ``split``; splits never share a seed."""
    return int.from_bytes(hashlib.blake2b(f"tiny-world/{split}/{number}".encode(), digest_size=8).digest()) >> 1


def framed_close(seed: int) -> bool:
    """Return whether the scene of ``seed`` is framed close, whatever it shows."""
    return bool(np.random.default_rng([seed, 1]).random() < CLOSE)


def sample_scene(world: World, styles: tuple[str, ...], seed: int) -> Scene:
    """Return the scene that ``seed`` stands for, by ``SHARES``; the same seed gives the same scene."""
    rng = np.random.default_rng(seed)
    style = styles[rng.integers(len(styles))]
    kind = str(rng.choice(list(SHARES), p=list(SHARES.values())))
    if kind == "texture":
        return Scene(style, None, None, texture=world.textures[rng.integers(len(world.textures))])
    if kind == "place":
        place = world.places[rng.integers(len(world.places))]
        return Scene(
            style, None, place, detail=("rainy", "foggy")[rng.integers(2)] if rng.random() < DETAILED else None
        )
    first = int(rng.integers(len(world.concepts)))
    concept = world.concepts[first]
    expected = rng.random() < PLAUSIBLE and concept.backgrounds
    choices = concept.backgrounds if expected else world.places
    place = choices[rng.integers(len(choices))]
    if kind == "related":
        second = (first + 1 + int(rng.integers(len(world.concepts) - 1))) % len(world.concepts)
        relation = world.relations[rng.integers(len(world.relations))]
        return Scene(style, concept.name, place, relation, world.concepts[second].name)
    detail = DETAILS[rng.integers(len(DETAILS))] if rng.random() < DETAILED else None
    return Scene(style, concept.name, place, detail=detail)
