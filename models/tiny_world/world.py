"""Read the committed ``world.json``: the names that scenes and phrases are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from data_specs.json_text import parse_json

WORLD = Path(__file__).resolve().parents[2] / "data_specs" / "tiny_world" / "world.json"


@dataclass(frozen=True, slots=True)
class WorldConcept:
    """One drawable thing: its name, its category (six of them) and the places where one would expect it."""

    name: str
    category: str
    keywords: tuple[str, ...]
    backgrounds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class World:
    """Everything the Tiny World can show: 192 concepts, 21 places, 12 textures, 10 relations."""

    concepts: tuple[WorldConcept, ...]
    places: tuple[str, ...]
    textures: tuple[str, ...]
    relations: tuple[str, ...]

    def names(self) -> tuple[str, ...]:
        """Return the concept names in their fixed order; a class index of the judge is a position in it."""
        return tuple(concept.name for concept in self.concepts)


@lru_cache(maxsize=1)
def read_world() -> World:
    """Read the committed world."""
    raw = parse_json(WORLD.read_text())
    concepts = tuple(
        WorldConcept(entry["name"], entry["category"], tuple(entry["keywords"]), tuple(entry["backgrounds"]))
        for entry in raw["concepts"]
    )
    return World(concepts, tuple(raw["places"]), tuple(raw["textures"]), tuple(raw["relations"]))
