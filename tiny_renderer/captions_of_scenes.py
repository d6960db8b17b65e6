"""Caption a scene, and tell what the caption really says of it.

Half the captions are templates, half prose that the project's own captions stage wrote, since that is what the renderer will
be given. A sentence is filed under what it was asked to say; a place that it names by itself counts as said.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.tiny_world.scenes import Scene
from models.tiny_world.world import World
from tiny_renderer.phrases import PLACE_PHRASES, RELATION_PHRASES, describe

PROSE = Path(__file__).resolve().parents[1] / "data_specs" / "tiny_world" / "prose.jsonl.gz"
Rng = np.random.Generator
Key = tuple[str | None, str | None, str | None, str | None, str | None, str | None]


@dataclass(frozen=True, slots=True)
class ProseSentence:
    """One sentence of the captions stage and what it says, in the terms of a scene."""

    text: str
    concept: str | None
    place: str | None
    relation: str | None
    other: str | None
    texture: str | None
    detail: str | None = None

    @property
    def key(self) -> Key:
        """What a scene must show for this sentence to be true of it."""
        return self.concept, self.place, self.relation, self.other, self.texture, self.detail


def read_prose(path: Path, world: World) -> list[ProseSentence]:
    """Read a prose file; what cannot be drawn (a place that the world lacks) is left out of what a sentence says."""
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [file_sentence(json.loads(line), world) for line in file]


def file_sentence(entry: dict[str, str | None], world: World) -> ProseSentence:
    """Parse one line of the prose file; keys are those of the captions stage's records."""
    text, concept, detail = entry["text"] or "", entry["concept"], entry.get("detail")
    if entry["kind"] == "texture":
        return ProseSentence(text, None, None, None, None, concept)
    if entry["kind"] == "place":
        return ProseSentence(text, None, concept, None, None, None, detail)
    relation, other = _relation_in(text, concept or "", entry["other"])
    background = entry["background"]
    place = background if background is not None and _names_place(text, background, world) else _place_in(text)
    return ProseSentence(text, concept, place, relation, other, None, detail)


_PHRASES = sorted(
    ((phrase, relation) for relation, phrases in RELATION_PHRASES.items() for phrase in phrases),
    key=lambda pair: -len(pair[0]),
)


def _relation_in(text: str, concept: str, other: str | None) -> tuple[str, str] | tuple[None, None]:
    """Find the relation that stands between the two nouns, and the second; what was asked for need not be written."""
    lowered = text.casefold()
    if other is None or (second := lowered.find(other.rstrip("s").casefold())) < 0:
        return None, None
    between = lowered[lowered.find(concept.rstrip("s").casefold()) : second]
    for phrase, relation in _PHRASES:
        if re.search(rf"\b{phrase}\b", between):
            return relation, other
    return None, None


def _names_place(text: str, place: str, world: World) -> bool:
    """Whether any word of a place that can be drawn stands in the text; an LLM often leaves it out."""
    words = [word for word in place.split() if word not in ("city", "plain", "room")] or [place]
    return place in world.places and any(word.rstrip("s") in text.casefold() for word in words)


_PLACE_PATTERNS = tuple(
    (
        place,
        re.compile(
            r"\b(" + "|".join(re.escape(phrase) for phrase in sorted({place, *phrases}, key=len)[::-1]) + r")\b"
        ),
    )
    for place, phrases in PLACE_PHRASES.items()
    if place not in ("sky", "road", "plain background")
)


def _place_in(text: str) -> str | None:
    """The place that a sentence names by itself, the first in the world's order."""
    lowered = text.casefold()
    return next((place for place, pattern in _PLACE_PATTERNS if pattern.search(lowered)), None)


class CaptionPool:
    """Captions of scenes: templates without end, and prose in a `share` of them where there is some."""

    def __init__(self, prose: Sequence[ProseSentence], share: float = 0.5) -> None:
        self.share = share
        self.stock: dict[Key, list[ProseSentence]] = {}
        for sentence in prose:
            self.stock.setdefault(sentence.key, []).append(sentence)
        self.details = {sentence.detail for sentence in prose} | {None}

    def caption(self, scene: Scene, rng: Rng) -> tuple[str, Scene]:
        """Return a caption that is true of ``scene``, and the scene with what it leaves unsaid set to None."""
        if scene.detail in self.details and rng.random() < self.share:
            found = self._prose_of(scene, rng)
            if found is not None:
                said = replace(
                    scene, concept=found.concept, place=found.place, relation=found.relation, other=found.other
                )
                return found.text, said
        said = scene
        single = scene.relation is None
        if scene.concept is not None and scene.place is not None and rng.random() < (0.3 if single else 0.6):
            said = replace(scene, place=None)
        return describe(said, rng), said

    def _prose_of(self, scene: Scene, rng: Rng) -> ProseSentence | None:
        """Return a sentence that says all of the scene, or all but its place, each half the time when both exist."""
        full = (scene.concept, scene.place, scene.relation, scene.other, scene.texture, scene.detail)
        placeless = (scene.concept, None, scene.relation, scene.other, scene.texture, scene.detail)
        stocks = [stock for key in (full, placeless) if (stock := self.stock.get(key))]
        if not stocks:
            return None
        stock = stocks[rng.integers(len(stocks))]
        return stock[rng.integers(len(stock))]
