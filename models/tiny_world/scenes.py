"""Draw a scene from its description, sprite sheets and a seed: the same three give the same pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from data_specs.errors import SpecError
from models.tiny_world.canvas import SIDE, Rng, noise, to_image, to_pixels
from models.tiny_world.places import FLOATING, PLACES
from models.tiny_world.sprites import Sheets
from models.tiny_world.textures import TEXTURES

RELATIONS = ("in", "on", "next to", "behind", "in front of", "over", "under", "above", "below", "besides")
DETAILS = ("small", "large", "rainy", "foggy")
SCENERY, CONCEPT, OTHER = 0, 1, 2
"""What a pixel of a scene shows: its place or texture, its concept, the second concept of a relation."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What an image shows: a concept in a place, two concepts in a relation, a place alone, or a texture alone.

    ``style`` names the sheet (any of them when there is no concept); ``detail`` is one of ``DETAILS``, or None.
    """

    style: str
    concept: str | None
    place: str | None
    relation: str | None = None
    other: str | None = None
    texture: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """An RGB image, and an 8-bit one of its size that says whose each pixel is: ``SCENERY``, ``CONCEPT`` or ``OTHER``."""

    image: Image.Image
    shows: Image.Image


def draw(scene: Scene, sheets: Sheets, seed: int, size: int = 64, *, close: bool = False) -> Image.Image:
    """Draw ``scene`` as an RGB image of ``size`` px; SpecError if it names what the world has not.

    ``close`` frames a concept alone as a photographer would, large and near the middle; it changes no other scene.
    """
    return draw_with_masks(scene, sheets, seed, size, close=close).image


def draw_with_masks(scene: Scene, sheets: Sheets, seed: int, size: int = 64, *, close: bool = False) -> Drawn:
    """Draw ``scene`` as ``draw`` does, and say which pixels show its concept and which the second one.

    A pixel belongs to what covers more than half of it and lies in front; shadows are scenery. A texture is scenery alone.
    """
    _check(scene, sheets)
    rng = np.random.default_rng(seed)
    if scene.texture is not None:
        canvas = TEXTURES[scene.texture](rng)
        composition = _Composition(canvas, rng, grounded=False)
    else:
        place = scene.place if scene.place is not None else "plain background"
        canvas = PLACES[place](rng)
        if scene.detail in ("rainy", "foggy"):
            canvas = _weather(rng, canvas, scene.detail)
        composition = _Composition(canvas, rng, grounded=place not in FLOATING)
        if scene.concept is not None and scene.relation is not None and scene.other is not None:
            sheet = sheets[scene.style]
            first, second = Sprite(sheet[scene.concept], CONCEPT), Sprite(sheet[scene.other], OTHER)
            _relate(composition, scene.relation, first, second)
        elif scene.concept is not None:
            frame = _close_up if close else _alone
            frame(composition, Sprite(sheets[scene.style][scene.concept], CONCEPT), scene.detail)
    shows = composition.shows.resize((size, size), Image.Resampling.NEAREST)
    return Drawn(canvas.resize((size, size), Image.Resampling.LANCZOS), shows)


def _check(scene: Scene, sheets: Sheets) -> None:
    if (scene.relation is None) != (scene.other is None):
        raise SpecError(f"{scene} needs both a relation and a second concept, or neither")
    if scene.concept is None and scene.place is None and scene.texture is None:
        raise SpecError(f"{scene} shows nothing; give it a concept, a place or a texture")
    for kind, value, known in (
        ("style", scene.style if scene.concept is not None else None, sheets),
        ("place", scene.place, PLACES),
        ("texture", scene.texture, TEXTURES),
        ("relation", scene.relation, RELATIONS),
        ("detail", scene.detail, DETAILS),
    ):
        if value is not None and value not in known:
            raise SpecError(f"unknown {kind} {value!r}; the Tiny World has {', '.join(sorted(known))}")
    for concept in (scene.concept, scene.other):
        if concept is not None and concept not in sheets[scene.style]:
            raise SpecError(f"style {scene.style!r} has no sprite of {concept!r}; see data_specs/tiny_world/world.json")


def _weather(rng: Rng, canvas: Image.Image, detail: str) -> Image.Image:
    pixels = to_pixels(canvas)
    if detail == "foggy":
        fog = (0.45 + 0.4 * noise(rng, (3, 6, 12)))[..., None]
        return to_image(pixels * (1 - fog) + np.float32(0.86) * fog)
    grey = pixels.mean(axis=2, keepdims=True)
    image = to_image((0.45 * pixels + 0.4 * grey) * np.array([0.9, 0.96, 1.06], np.float32))
    pen = ImageDraw.Draw(image)
    for x, y, drop in zip(
        rng.integers(0, SIDE + 20, 60), rng.integers(-10, SIDE, 60), rng.integers(8, 18, 60), strict=True
    ):
        pen.line([x, y, x - drop // 3, y + drop], fill=(190, 205, 225), width=1)
    return image


class Sprite(NamedTuple):
    """A cut-out (RGBA), and what its pixels are in a mask."""

    image: Image.Image
    shows: int


class _Composition:
    """A canvas that sprites are put on; it owns the order of random draws, so that a seed fixes the image."""

    def __init__(self, canvas: Image.Image, rng: Rng, grounded: bool) -> None:
        self.canvas, self.rng, self.grounded = canvas, rng, grounded
        self.shows = Image.new("L", canvas.size, SCENERY)
        self.base = 0.92 if grounded else 0.82

    def near(self, value: float, spread: float = 0.03) -> float:
        return value + float(self.rng.uniform(-spread, spread))

    def put(
        self, put: Sprite, x: float, base: float, extent: float, *, shadow: bool = True, tilt: float = 8.0
    ) -> tuple[float, float]:
        """Put a sprite with its middle at ``x`` and its foot at ``base``; return its top and height (fractions)."""
        sprite = put.image
        if self.rng.random() < 0.5:
            sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        scale = extent * SIDE / max(sprite.size)
        scaled = (max(2, round(sprite.width * scale)), max(2, round(sprite.height * scale)))
        sprite = sprite.resize(scaled, Image.Resampling.BICUBIC)
        angle = float(self.rng.uniform(-tilt, tilt))
        if tilt:
            sprite = sprite.rotate(angle, expand=True, resample=Image.Resampling.BICUBIC)
        left, top = int(x * SIDE - sprite.width / 2), int(base * SIDE - sprite.height)
        if shadow and self.grounded:
            self._cast(left + sprite.width * 0.08, left + sprite.width * 0.92, base * SIDE, extent * SIDE)
        self.canvas.paste(sprite, (left, top), sprite)
        self.shows.paste(put.shows, (left, top), sprite.getchannel("A").point(_covers))
        return top / SIDE, sprite.height / SIDE

    def _cast(self, left: float, right: float, foot: float, extent: float) -> None:
        """Darken a soft ellipse at the sprite's foot; only the strip that it covers is blurred."""
        above = max(0, int(foot - extent * 0.07) - 6)
        strip = Image.new("L", (SIDE, max(1, SIDE - above)), 0)
        pen = ImageDraw.Draw(strip)
        pen.ellipse([left, foot - extent * 0.07 - above, right, foot + extent * 0.05 - above], fill=90)
        self.canvas.paste((20, 20, 25), (0, above), strip.filter(ImageFilter.BoxBlur(2)))


def _covers(alpha: int) -> int:
    return 255 if alpha > 127 else 0


def _alone(composition: _Composition, sprite: Sprite, detail: str | None) -> None:
    low, high = {"small": (0.32, 0.42), "large": (0.8, 0.92)}.get(detail or "", (0.5, 0.8))
    extent = float(composition.rng.uniform(low, high))
    x = 0.5 + float(composition.rng.uniform(-0.32, 0.32)) * max(0.0, 1.2 - extent)
    base = min(0.98, composition.base + float(composition.rng.uniform(-0.05, 0.04)))
    if not composition.grounded:
        base -= float(composition.rng.uniform(0, 0.12)) * (1 - extent)
    composition.put(sprite, x, base, extent)


def _close_up(composition: _Composition, sprite: Sprite, detail: str | None) -> None:
    """Let the sprite fill .55 to .9 of the frame near its middle; the smaller it is, the more it strays."""
    low, high = {"small": (0.38, 0.48), "large": (0.92, 1.0)}.get(detail or "", (0.55, 0.9))
    extent = float(composition.rng.uniform(low, high))
    stray = 0.04 + 0.2 * max(0.0, 0.9 - extent)
    x, y = composition.near(0.5, stray), composition.near(0.5, stray)
    base = y + extent * sprite.image.height / max(sprite.image.size) / 2
    if composition.grounded:  # what is flat stands on the ground, not in the middle of the sky
        base = max(base, composition.near(0.8, 0.05))
    composition.put(sprite, x, min(0.98, base), extent, tilt=6.0)


def _relate(composition: _Composition, relation: str, first: Sprite, second: Sprite) -> None:
    """Put ``first`` in its relation to ``second``; pairs of inverse relations swap the two."""
    near = composition.near
    if relation in ("behind", "under", "below"):
        first, second = second, first
    if relation in ("next to", "besides"):
        left, right = (first, second) if composition.rng.random() < 0.5 else (second, first)
        composition.put(left, near(0.27), near(composition.base), near(0.47))
        composition.put(right, near(0.74), near(composition.base), near(0.47))
    elif relation in ("in front of", "behind"):
        x = near(0.5, 0.08)
        composition.put(second, x, 0.74, near(0.62))
        shift = float(composition.rng.uniform(0.1, 0.18)) * (1 if composition.rng.random() < 0.5 else -1)
        composition.put(first, x + shift, 0.96, near(0.46))
    elif relation == "in":
        x = near(0.5, 0.04)
        composition.put(second, x, 0.96, near(0.86, 0.02), tilt=0)
        composition.put(first, x, 0.96 - 0.86 * 0.24, near(0.36), shadow=False)
    elif relation == "on":
        x = near(0.5, 0.06)
        top, height = composition.put(second, x, 0.97, near(0.48), tilt=3)
        composition.put(first, near(x, 0.02), top + 0.12 * height, near(0.42), shadow=False, tilt=4)
    elif relation in ("over", "under"):
        x = near(0.5, 0.06)
        top, _ = composition.put(second, x, 0.97, near(0.42))
        composition.put(first, near(x, 0.05), max(0.38, top - near(0.07, 0.02)), near(0.38), shadow=False)
    else:  # above, below
        x = near(0.5, 0.08)
        composition.put(second, x, 0.97, near(0.42))
        composition.put(first, near(x, 0.08), near(0.36, 0.02), near(0.34, 0.02), shadow=False)
