"""Describe a scene in one of the many ways a person might."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from models.tiny_world.scenes import Scene

Rng = np.random.Generator

PLACE_PHRASES: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "beach": ("on the beach", "at the beach", "on a sandy beach", "by the sea on the sand", "on the shore"),
        "ocean": ("in the ocean", "on the ocean", "at sea", "over the ocean waves", "on the open sea"),
        "forest": ("in the forest", "in a forest", "in the woods", "among the trees of a forest", "deep in the forest"),
        "meadow": ("in a meadow", "in the meadow", "on a green meadow", "in a field of wild flowers", "in the grass"),
        "snowy field": ("in a snowy field", "in the snow", "on a snowy field", "in falling snow", "in a winter field"),
        "desert": ("in the desert", "in a desert", "on the desert sand", "among the dunes", "in a dry desert"),
        "mountains": ("in the mountains", "near the mountains", "with mountains behind", "on a mountain trail"),
        "city at night": ("in the city at night", "in a city at night", "at night in the city", "among city lights"),
        "city street": ("on a city street", "in a city street", "in the city", "downtown", "on a street in town"),
        "road": ("on the road", "on a road", "by the road", "on a country road", "on a long road"),
        "kitchen": ("in the kitchen", "in a kitchen", "on the kitchen counter", "in a tidy kitchen"),
        "living room": ("in the living room", "in a living room", "at home in the living room", "by the sofa"),
        "bedroom": ("in the bedroom", "in a bedroom", "on the bed", "in a quiet bedroom"),
        "outer space": ("in outer space", "in space", "among the stars", "floating in outer space", "in the galaxy"),
        "underwater": ("underwater", "under the water", "under the sea", "on the sea floor", "deep underwater"),
        "sunset": ("at sunset", "in the sunset", "in front of a sunset", "as the sun sets", "at dusk"),
        "garden": ("in the garden", "in a garden", "in a flower garden", "by the garden fence", "in the backyard"),
        "wooden table": ("on a wooden table", "on the table", "on a table", "on an old wooden table"),
        "farm": ("on a farm", "on the farm", "in front of a barn", "by a red barn", "at the farm"),
        "sky": ("in the sky", "against the sky", "in the blue sky", "among the clouds", "high in the air"),
        "plain background": ("on a plain background", "against a plain background", "on a white background",
                             "in a studio", "in front of a plain wall"),
    }
)  # fmt: skip
RELATION_PHRASES: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "in": ("in", "inside", "sitting in"),
        "on": ("on", "on top of", "sitting on", "standing on"),
        "next to": ("next to", "beside", "standing next to", "right next to"),
        "besides": ("besides", "beside", "by the side of", "alongside"),
        "behind": ("behind", "hiding behind", "standing behind"),
        "in front of": ("in front of", "standing in front of", "right in front of"),
        "over": ("over", "hovering over", "just over"),
        "above": ("above", "high above", "floating above"),
        "under": ("under", "underneath", "right under"),
        "below": ("below", "far below", "down below"),
    }
)
DETAIL_WORDS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = MappingProxyType(
    {
        "small": (("small", "tiny", "little"), ()),
        "large": (("large", "big", "huge", "giant"), ()),
        "rainy": ((), ("in the rain", "on a rainy day", "in rainy weather", "while it rains")),
        "foggy": ((), ("in the fog", "on a foggy day", "in thick fog", "in the mist")),
    }
)
"""Words before the noun, and words at the end."""
IDLE_ADJECTIVES = (
    "cute", "nice", "beautiful", "lovely", "pretty", "colorful", "bright", "old", "new", "happy", "lonely", "single",
    "simple", "shiny", "funny", "wonderful", "lone", "young", "round",
)  # fmt: skip
"""Said of anything; they change nothing in the image, so the text encoder learns to ignore them."""
LEADS = (
    "a photo of {}", "a picture of {}", "an image of {}", "a drawing of {}", "a painting of {}", "an illustration of {}",
    "a cartoon of {}", "a close-up of {}", "a view of {}", "there is {}", "this is {}", "we see {}", "here is {}", "{}",
    "{}", "{}", "{}", "the picture shows {}", "a snapshot of {}",
)  # fmt: skip
POSES = (
    "sitting", "standing", "resting", "lying", "placed", "alone", "seen", "shown", "waiting", "left", "found", "playing",
    "that stands", "that sits",
)  # fmt: skip


def describe(scene: Scene, rng: Rng) -> str:
    """Return a phrase that says everything of ``scene`` but its style; what is None is not said."""
    if scene.texture is not None:
        return _finish(_texture(scene.texture, rng), rng)
    if scene.concept is None:
        return _finish(_ended(_place_alone(scene.place or "plain background", rng), scene, rng), rng)
    if rng.random() < 0.12:
        return _finish(_ended(_keywords(scene, rng), scene, rng), rng)
    words = _noun(scene.concept, scene.detail, rng)
    if scene.relation is not None and scene.other is not None:
        words += f" {_one(RELATION_PHRASES[scene.relation], rng)} {_noun(scene.other, None, rng)}"
    elif rng.random() < 0.25:
        words += f" {_one(POSES, rng)}"
    if scene.place is not None:
        words += f" {_one(PLACE_PHRASES[scene.place], rng)}"
    return _finish(_ended(_one(LEADS, rng).format(words), scene, rng), rng)


def _one(choices: Sequence[str], rng: Rng) -> str:
    return choices[int(rng.integers(len(choices)))]


def _noun(name: str, detail: str | None, rng: Rng) -> str:
    sized = DETAIL_WORDS[detail][0] if detail is not None else ()
    before = f"{_one(sized, rng)} " if sized else f"{_one(IDLE_ADJECTIVES, rng)} " if rng.random() < 0.2 else ""
    plural = name.endswith("s") and not name.endswith("ss")
    article = "the" if rng.random() < 0.2 else "some" if plural else "an" if (before + name)[0] in "aeiou" else "a"
    return f"{article} {before}{name}"


def _keywords(scene: Scene, rng: Rng) -> str:
    size = DETAIL_WORDS[scene.detail][0] if scene.detail is not None else ()
    first = f"{_one(size, rng)} {scene.concept}" if size else f"{scene.concept}"
    if scene.relation is not None:
        first = f"{first} {scene.relation} {scene.other}"
    return f"{first}, {scene.place}" if scene.place is not None else first


def _ended(words: str, scene: Scene, rng: Rng) -> str:
    ends = DETAIL_WORDS[scene.detail][1] if scene.detail is not None else ()
    return f"{words} {_one(ends, rng)}" if ends else words


def _place_alone(place: str, rng: Rng) -> str:
    forms = (f"{place}", f"a view of the {place}", f"an empty {place}", f"the {place}", f"a photo of a {place}",
             f"nothing but {place}", f"a quiet {place}", f"a landscape: {place}", f"a beautiful {place}")  # fmt: skip
    return _one(forms, rng)


def _texture(texture: str, rng: Rng) -> str:
    forms = (f"{texture}", f"a texture of {texture}", f"a close-up of {texture}", f"a pattern of {texture}",
             f"the surface of {texture}", f"{texture} texture", f"a {texture} pattern", f"a photo of {texture}")  # fmt: skip
    return _one(forms, rng)


def _finish(words: str, rng: Rng) -> str:
    if rng.random() < 0.5:
        words = words[0].upper() + words[1:]
    return words + "." if rng.random() < 0.4 else words
