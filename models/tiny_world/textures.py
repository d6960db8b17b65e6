"""Draw one of the 12 textures on a 128 px canvas."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from PIL import Image

from models.tiny_world.canvas import SIDE, Colour, Pixels, Rng, brush, checks, noise, planks, shade, to_image, vary

ROW, COLUMN = np.mgrid[:SIDE, :SIDE].astype(np.float32)


def _any_colour(rng: Rng, low: int = 0, high: int = 256) -> Colour:
    red, green, blue = rng.integers(low, high, 3)
    return int(red), int(green), int(blue)


def _tinted(rng: Rng, strength: Pixels, colour: Colour, spread: int) -> Image.Image:
    return to_image(strength[..., None] * shade(vary(rng, colour, spread)))


def brick_wall(rng: Rng) -> Image.Image:
    """Courses of bricks, each its own red, in pale mortar."""
    image = Image.new("RGB", (SIDE, SIDE), vary(rng, (200, 190, 180), 10))
    draw, height = brush(image), int(rng.integers(10, 18))
    for course, y in enumerate(range(0, SIDE, height)):
        shift = course % 2 * height
        for x in range(-2 * height, SIDE + 2 * height, 2 * height):
            brick = vary(rng, (165, 75, 60), 22)
            draw.rectangle([x + shift, y, x + shift + 2 * height - 3, y + height - 3], fill=brick)
    return image


def wooden_planks(rng: Rng) -> Image.Image:
    """Four to six planks with their grain."""
    return to_image(planks(rng, SIDE, (165, 110, 65), int(rng.integers(4, 7))))


def stripes(rng: Rng) -> Image.Image:
    """Straight stripes of two colours at any angle."""
    angle, pitch = rng.uniform(0, math.pi), rng.uniform(0.2, 0.5)
    dark = np.sin((COLUMN * math.cos(angle) + ROW * math.sin(angle)) * pitch) > 0
    return to_image(np.where(dark[..., None], rng.random(3) * 0.9, rng.random(3) * 0.5 + 0.5).astype(np.float32))


def polka_dots(rng: Rng) -> Image.Image:
    """Round dots in staggered rows."""
    image = Image.new("RGB", (SIDE, SIDE), _any_colour(rng, 120))
    draw, pitch, dot = brush(image), int(rng.integers(14, 28)), _any_colour(rng)
    radius = pitch * rng.uniform(0.2, 0.36)
    for line, y in enumerate(range(0, SIDE + pitch, pitch)):
        for x in range(line % 2 * pitch // 2, SIDE + 2 * pitch, pitch):
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=dot)
    return image


def checkered(rng: Rng) -> Image.Image:
    """Squares of two colours."""
    return to_image(checks(_any_colour(rng), _any_colour(rng), int(rng.integers(5, 11))))


def marble(rng: Rng) -> Image.Image:
    """Pale stone with dark veins."""
    drift = COLUMN * rng.uniform(-0.05, 0.05) + ROW * rng.uniform(-0.05, 0.05)
    veins = (np.abs(np.sin(drift + noise(rng, (3, 6, 12, 24, 48)) * 12)) ** 0.35)[..., None]
    return to_image(shade(vary(rng, (110, 110, 120), 30)) * (1 - veins) + shade((245, 243, 240)) * veins)


def knitted_wool(rng: Rng) -> Image.Image:
    """Rows of stitches in one yarn."""
    stitch = 0.5 + 0.5 * np.sin(COLUMN * 0.6 + 1.6 * np.sin(ROW * 0.55))
    return _tinted(rng, stitch * 0.45 + 0.55, (180, 70, 80), 75)


def grass(rng: Rng) -> Image.Image:
    """A lawn from above."""
    return _tinted(rng, 0.55 + 0.9 * noise(rng, (10, 30, 64, 128)), (80, 140, 50), 20)


def water_ripples(rng: Rng) -> Image.Image:
    """Bright caustic lines on blue water."""
    light = np.clip(1 - np.abs(np.sin(noise(rng, (4, 8, 16)) * 22)) * 1.6, 0, 1)[..., None]
    return to_image(shade(vary(rng, (30, 130, 185), 20)) * (1 - light * 0.8) + light * 0.8)


def honeycomb(rng: Rng) -> Image.Image:
    """Golden hexagons."""
    image = Image.new("RGB", (SIDE, SIDE), vary(rng, (120, 70, 10), 10))
    draw, radius = brush(image), rng.uniform(8, 13)
    corners = [(0.9 * math.sin(k * math.pi / 3), 0.9 * math.cos(k * math.pi / 3)) for k in range(6)]
    for j in range(int(SIDE / radius / 1.56) + 2):
        for i in range(-1, int(SIDE / radius / 1.8) + 2):
            x, y = i * radius * 1.8 + j % 2 * radius * 0.9, j * radius * 1.56
            cell = [(x + radius * a, y + radius * b) for a, b in corners]
            draw.polygon(cell, fill=vary(rng, (240, 170, 30), 14))
    return image


def cracked_earth(rng: Rng) -> Image.Image:
    """Dry ground with thin dark cracks."""
    crack = np.abs(noise(rng, (4, 9, 18, 36)) - 0.5) < 0.02
    strength = np.where(crack, np.float32(0.15), np.float32(1)) * (1 + 0.2 * (noise(rng, (20, 60)) - 0.5))
    return _tinted(rng, strength, (175, 160, 140), 20)


def rusty_metal(rng: Rng) -> Image.Image:
    """Grey metal with patches of rust."""
    rust = np.clip((noise(rng, (4, 9, 18, 36, 72)) - 0.42) * 5, 0, 1)[..., None]
    metal = shade(vary(rng, (130, 140, 145), 10))
    mixed = rust * shade(vary(rng, (150, 75, 35), 16)) + (1 - rust) * metal
    return to_image(np.asarray(mixed, np.float32))


TEXTURES: Mapping[str, Callable[[Rng], Image.Image]] = MappingProxyType(
    {
        "brick wall": brick_wall,
        "wooden planks": wooden_planks,
        "stripes": stripes,
        "polka dots": polka_dots,
        "checkered": checkered,
        "marble": marble,
        "knitted wool": knitted_wool,
        "grass": grass,
        "water ripples": water_ripples,
        "honeycomb": honeycomb,
        "cracked earth": cracked_earth,
        "rusty metal": rusty_metal,
    }
)
"""Texture name -> its painter; each returns an RGB image of SIDE x SIDE."""
