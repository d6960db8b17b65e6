"""Draw one of the 21 places on a 128 px canvas."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from PIL import Image

from models.tiny_world.canvas import (
    SIDE,
    Colour,
    Rng,
    brush,
    checks,
    darker,
    gradient,
    lay_ground,
    noise,
    planks,
    shade,
    sky,
    to_image,
    to_pixels,
    vary,
)


def beach(rng: Rng) -> Image.Image:
    """Sky, a strip of sea, sand with a line of foam."""
    horizon = rng.uniform(0.38, 0.5)
    pixels = sky(rng)
    top, shore = int(horizon * SIDE), int((horizon + rng.uniform(0.12, 0.2)) * SIDE)
    depth = np.linspace(0, 1, shore - top, dtype=np.float32)[:, None]
    waves = np.sin(depth * 40 + noise(rng, (3, 6), shore - top) * 14)
    sea = gradient(vary(rng, (20, 120, 180)), vary(rng, (90, 200, 210)), shore - top)
    pixels[top:shore] = sea * (1 + 0.12 * waves[..., None])
    edge = shore + (noise(rng, (3, 5), 1)[0] * 14 - 7).astype(int)
    sand = gradient(vary(rng, (240, 215, 160)), vary(rng, (225, 190, 125)))
    sand = sand * (1 + (rng.random((SIDE, SIDE, 1), dtype=np.float32) - 0.5) * 0.1)
    row = np.arange(SIDE)[:, None]
    pixels = np.where((row >= edge)[..., None], sand, pixels)
    foam = (row >= edge - 3) & (row < edge)
    return to_image(np.where(foam[..., None], shade((250, 252, 252)), pixels))


def ocean(rng: Rng) -> Image.Image:
    """Sky over open water whose waves widen towards the viewer."""
    horizon = int(rng.uniform(0.3, 0.45) * SIDE)
    pixels = sky(rng, clouds=0.8)
    height = SIDE - horizon
    depth = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    waves = np.sin(108 * np.sqrt(depth) + noise(rng, (4, 9, 18), height) * 16) * (0.3 + depth)
    water = gradient(vary(rng, (60, 140, 190)), vary(rng, (10, 60, 120)), height)
    pixels[horizon:] = water * (1 + 0.16 * waves[..., None])
    return to_image(pixels)


def _round_tree(rng: Rng, image: Image.Image, foot: float, colour: Colour) -> None:
    x, y, height = int(rng.integers(-8, SIDE + 8)), int(foot * SIDE), int(rng.uniform(0.3, 0.55) * SIDE)
    draw = brush(image)
    draw.rectangle([x - 3, y - height // 3, x + 3, y], fill=vary(rng, (84, 58, 38), 12))
    draw.ellipse([x - height * 0.36, y - height, x + height * 0.36, y - height * 0.25], fill=vary(rng, colour, 22))


def _pine(rng: Rng, image: Image.Image, foot: float, tall: tuple[float, float], colour: Colour) -> None:
    x, y, height = int(rng.integers(-8, SIDE + 8)), int(foot * SIDE), int(rng.uniform(*tall) * SIDE)
    draw, green = brush(image), vary(rng, colour, 22)
    draw.rectangle([x - 2, y - height // 5, x + 2, y], fill=vary(rng, (84, 58, 38), 12))
    for tier in range(3):
        half, low = height * (0.34 - 0.08 * tier), y - height * (0.15 + 0.27 * tier)
        draw.polygon([(x - half, low), (x + half, low), (x, low - height * 0.42)], fill=green)


def forest(rng: Rng) -> Image.Image:
    """Pines, thick trunks and round trees on dark ground."""
    pixels = gradient(vary(rng, (150, 190, 140)), vary(rng, (70, 110, 60)))
    image = to_image(lay_ground(rng, pixels, rng.uniform(0.6, 0.7), (110, 130, 70), (70, 90, 45), 0.3))
    for _ in range(8):
        _pine(rng, image, rng.uniform(0.58, 0.66), (0.4, 0.7), (60, 110, 55))
    for _ in range(5):
        x, half = int(rng.integers(-8, SIDE + 8)), int(rng.integers(3, 8))
        foot = int(rng.uniform(0.62, 0.75) * SIDE)
        brush(image).rectangle([x - half, -2, x + half, foot], fill=vary(rng, (84, 58, 38), 12))
    for _ in range(4):
        _round_tree(rng, image, rng.uniform(0.6, 0.68), (70, 125, 55))
    return image


def meadow(rng: Rng) -> Image.Image:
    """Bright grass with small flowers."""
    horizon = rng.uniform(0.42, 0.58)
    image = to_image(lay_ground(rng, sky(rng, clouds=0.7), horizon, (150, 200, 95), (85, 165, 60)))
    draw = brush(image)
    for _ in range(26):
        x, y = int(rng.integers(0, SIDE)), rng.uniform(horizon + 0.06, 1) * SIDE
        size = 1 + 2 * (y / SIDE - horizon)
        petals = ((250, 240, 90), (250, 250, 250), (235, 110, 150))[rng.integers(3)]
        draw.ellipse([x - size, y - size, x + size, y + size], fill=petals)
    return image


def snowy_field(rng: Rng) -> Image.Image:
    """White ground, a row of pines, falling snow."""
    horizon = rng.uniform(0.45, 0.6)
    pixels = sky(rng, (150, 180, 210), (225, 235, 245), 0.6)
    image = to_image(lay_ground(rng, pixels, horizon, (215, 228, 242), (245, 249, 255), 0.06))
    for _ in range(5):
        _pine(rng, image, rng.uniform(horizon, horizon + 0.05), (0.2, 0.4), (70, 105, 95))
    draw = brush(image)
    for x, y, size in zip(
        rng.integers(0, SIDE, 70), rng.integers(0, SIDE, 70), rng.integers(2, 5, 70) // 2, strict=True
    ):
        draw.ellipse([x - size, y - size, x + size, y + size], fill=(255, 255, 255))
    return image


def desert(rng: Rng) -> Image.Image:
    """Rows of dunes under a pale sky."""
    horizon = rng.uniform(0.42, 0.52)
    pixels = sky(rng, (110, 180, 225), (250, 225, 180), 0.1)
    image = to_image(lay_ground(rng, pixels, horizon, (235, 190, 120), (215, 150, 80), 0.08, (3, 6, 40)))
    draw = brush(image)
    for dune in range(3):
        y, phase = (horizon + 0.05 + 0.14 * dune) * SIDE, rng.uniform(0, 6)
        crest = [(x, y + 8 * math.sin(x / SIDE * 5 + phase + dune)) for x in range(0, SIDE + 8, 5)]
        sand = vary(rng, (228 - 14 * dune, 170 - 14 * dune, 100 - 10 * dune), 8)
        draw.polygon([*crest, (SIDE, SIDE), (0, SIDE)], fill=sand)
    return image


def mountains(rng: Rng) -> Image.Image:
    """Two ranges with snowy peaks behind a green valley."""
    image = to_image(sky(rng))
    draw = brush(image)
    for near, rock in enumerate(((130, 145, 175), (95, 110, 140))):
        for _ in range(4):
            x, height = int(rng.integers(-10, SIDE + 10)), rng.uniform(0.3, 0.55) * SIDE * (1 - 0.2 * near)
            foot, half = 0.68 * SIDE, height * 0.9
            draw.polygon([(x - half, foot), (x + half, foot), (x, foot - height)], fill=vary(rng, rock, 8))
            snow = foot - height * 0.75
            draw.polygon([(x - half * 0.25, snow), (x + half * 0.25, snow), (x, foot - height)], fill=(245, 248, 252))
    return to_image(lay_ground(rng, to_pixels(image), 0.64, (120, 150, 100), (80, 120, 70), 0.14))


def _skyline(rng: Rng, image: Image.Image, base: float, night: bool) -> None:
    draw, x, foot = brush(image), -4, int(base * SIDE)
    while x < SIDE:
        width, height = int(rng.integers(12, 26)), int(rng.uniform(0.25, 0.6) * SIDE)
        wall = vary(rng, (38, 40, 66) if night else (150, 150, 165), 16)
        draw.rectangle([x, foot - height, x + width, foot], fill=wall)
        for y in range(foot - height + 4, foot - 4, 7):
            for left in range(x + 3, x + width - 4, 6):
                if rng.random() < (0.55 if night else 0.8):
                    draw.rectangle([left, y, left + 2, y + 3], fill=(250, 215, 120) if night else (95, 120, 150))
        x += width + int(rng.integers(0, 3))


def _asphalt(rng: Rng, image: Image.Image, horizon: float, colour: Colour) -> Image.Image:
    far = (colour[0] + 25, colour[1] + 25, colour[2] + 25)
    image = to_image(lay_ground(rng, to_pixels(image), horizon, far, colour, 0.06))
    draw, y = brush(image), int((horizon + 1) / 2 * SIDE)
    for x in range(-int(rng.integers(0, 20)), SIDE, 26):
        draw.rectangle([x, y, x + 13, y + 2], fill=(235, 225, 170))
    return image


def city_at_night(rng: Rng) -> Image.Image:
    """Lit windows, a moon, stars, a dark street."""
    image = to_image(gradient(vary(rng, (8, 10, 34), 8), vary(rng, (50, 40, 90), 12)))
    draw = brush(image)
    for x, y in zip(rng.integers(0, SIDE, 30), rng.integers(0, SIDE // 2, 30), strict=True):
        draw.point((int(x), int(y)), fill=(240, 240, 220))
    moon = int(rng.integers(12, SIDE - 12))
    draw.ellipse([moon - 8, 8, moon + 8, 24], fill=(245, 240, 205))
    _skyline(rng, image, 0.68, night=True)
    return _asphalt(rng, image, 0.68, (36, 36, 48))


def city_street(rng: Rng) -> Image.Image:
    """Grey buildings by day, a street with a dashed line."""
    image = to_image(sky(rng, clouds=0.4))
    _skyline(rng, image, 0.62, night=False)
    return _asphalt(rng, image, 0.62, (80, 82, 88))


def road(rng: Rng) -> Image.Image:
    """A road that runs to a vanishing point between fields."""
    image = to_image(lay_ground(rng, sky(rng), 0.5, (150, 180, 110), (110, 150, 70), 0.12))
    draw, vanish = brush(image), rng.uniform(0.4, 0.6) * SIDE
    tarmac = vary(rng, (90, 92, 98), 8)
    draw.polygon([(vanish - 3, 64), (vanish + 3, 64), (SIDE * 1.05, SIDE), (-SIDE * 0.05, SIDE)], fill=tarmac)
    for dash in range(5):
        near, far = ((dash + 0.5) / 5) ** 2, (dash / 5) ** 2
        y0, y1 = 64 + far * 64, 64 + near * 64
        x0, x1 = vanish + (64 - vanish) * far, vanish + (64 - vanish) * near
        w0, w1 = 1 + 2 * far, 1 + 3 * near
        draw.polygon([(x0 - w0, y0), (x0 + w0, y0), (x1 + w1, y1), (x1 - w1, y1)], fill=(240, 235, 200))
    return image


def kitchen(rng: Rng) -> Image.Image:
    """Tiles, two cupboards, a window, a worktop."""
    image = to_image(checks(vary(rng, (238, 240, 240), 8), vary(rng, (222, 230, 232), 8), 10))
    draw, top = brush(image), int(0.66 * SIDE)
    cupboard = vary(rng, (205, 160, 110), 20)
    draw.rectangle([0, 0, 38, 38], fill=cupboard)
    draw.rectangle([90, 0, SIDE, 38], fill=cupboard)
    draw.rectangle([42, 6, 86, 46], fill=(175, 215, 240))
    draw.rectangle([63, 6, 65, 46], fill=(250, 250, 250))
    draw.rectangle([0, top, SIDE, top + 7], fill=vary(rng, (120, 125, 130), 14))
    draw.rectangle([0, top + 7, SIDE, SIDE], fill=vary(rng, (200, 155, 105), 14))
    for x in range(0, SIDE, 32):
        draw.line([x, top + 7, x, SIDE], fill=(150, 110, 70))
        draw.ellipse([x + 24, top + 20, x + 27, top + 23], fill=(90, 90, 90))
    return image


def living_room(rng: Rng) -> Image.Image:
    """A wall with a picture, a sofa, a wooden floor."""
    wall, floor = vary(rng, (225, 205, 180), 16), int(0.66 * SIDE)
    pixels = gradient(wall, darker(wall, 0.93))
    pixels[floor:] = planks(rng, SIDE - floor, (150, 100, 62), 4)
    image = to_image(pixels)
    draw, x = brush(image), int(rng.uniform(0.05, 0.5) * SIDE)
    draw.rectangle([x, 12, x + 34, 36], fill=(90, 70, 50))
    draw.rectangle([x + 3, 15, x + 31, 33], fill=vary(rng, (120, 170, 190), 40))
    draw.rectangle([0, floor - 1, SIDE, floor + 1], fill=(245, 240, 232))
    sofa, x = vary(rng, (70, 110, 130), 40), int(rng.uniform(0.35, 0.6) * SIDE)
    draw.rounded_rectangle([x, 56, x + 60, 84], 6, fill=sofa)
    draw.rounded_rectangle([x - 5, 72, x + 65, 95], 6, fill=darker(sofa, 0.85))
    return image


def bedroom(rng: Rng) -> Image.Image:
    """A bed with a blanket, a window by day or night."""
    wall, floor = vary(rng, (180, 192, 216), 20), int(0.72 * SIDE)
    pixels = gradient(wall, wall)
    pixels[floor:] = planks(rng, SIDE - floor, (190, 150, 105), 3)
    image = to_image(pixels)
    draw = brush(image)
    draw.rectangle([4, 46, 14, 110], fill=vary(rng, (120, 85, 60), 15))
    draw.rounded_rectangle([8, 77, 102, 107], 5, fill=vary(rng, (225, 110, 110), 50))
    draw.rounded_rectangle([12, 68, 44, 82], 5, fill=(250, 250, 248))
    draw.rectangle([84, 10, 120, 44], fill=(245, 245, 240))
    draw.rectangle([87, 13, 117, 41], fill=(35, 45, 90) if rng.random() < 0.5 else (170, 210, 240))
    return image


def outer_space(rng: Rng) -> Image.Image:
    """Stars, a faint nebula, often a planet."""
    pixels = gradient(vary(rng, (6, 6, 20), 5), vary(rng, (14, 10, 34), 8))
    glow = np.clip((noise(rng, (3, 6, 12, 24)) - 0.5) * 3, 0, 1)[..., None]
    image = to_image(pixels + glow * shade(vary(rng, (120, 50, 150), 50)) * 0.6)
    draw = brush(image)
    lights = rng.integers(140, 256, 80)
    for x, y, light, big in zip(
        rng.integers(0, SIDE, 80), rng.integers(0, SIDE, 80), lights, rng.integers(0, 4, 80) // 3, strict=True
    ):
        draw.ellipse([x - big, y - big, x + big, y + big], fill=(int(light), int(light), int(light)))
    if rng.random() < 0.7:
        x, y, radius = (int(rng.integers(0, SIDE)), int(rng.integers(0, SIDE)), int(rng.integers(12, 28)))
        planet = vary(rng, (190, 140, 90), 50)
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=planet)
        lit = (min(255, planet[0] + 25), min(255, planet[1] + 25), min(255, planet[2] + 25))
        draw.ellipse([x - radius * 0.5, y - radius * 0.9, x + radius * 0.9, y + radius * 0.5], fill=lit)
    return image


def underwater(rng: Rng) -> Image.Image:
    """Blue-green light from above, weeds, bubbles, a sandy floor."""
    pixels = gradient(vary(rng, (70, 180, 210)), vary(rng, (5, 50, 100)))
    pixels *= (1 + 0.25 * (noise(rng, (3, 7), stretch=2.5) - 0.5))[..., None]
    image = to_image(lay_ground(rng, pixels, 0.82, (90, 120, 120), (150, 150, 110), 0.15))
    draw = brush(image)
    for _ in range(5):
        x, height = int(rng.integers(0, SIDE)), int(rng.integers(18, 44))
        weed = vary(rng, (30, 120, 80), 25)
        stem = [(x + 5 * math.sin(step / 6), SIDE - 12 - step) for step in range(0, height, 3)]
        draw.line(stem, fill=weed, width=4, joint="curve")
    for x, y, size in zip(rng.integers(0, SIDE, 14), rng.integers(0, SIDE, 14), rng.integers(1, 4, 14), strict=True):
        draw.ellipse([x - size, y - size, x + size, y + size], outline=(200, 235, 245))
    return image


def sunset(rng: Rng) -> Image.Image:
    """A low sun in an orange sky, the land already dark."""
    horizon = rng.uniform(0.55, 0.66)
    image = to_image(gradient(vary(rng, (80, 50, 120), 14), vary(rng, (255, 170, 80), 14)))
    x, y = rng.uniform(0.25, 0.75) * SIDE, horizon * SIDE
    brush(image).ellipse([x - 14, y - 17, x + 14, y + 11], fill=(255, 235, 150))
    return to_image(lay_ground(rng, to_pixels(image), horizon, (96, 50, 66), (40, 24, 44), 0.15))


def garden(rng: Rng) -> Image.Image:
    """A lawn before a white picket fence with flowers."""
    image = to_image(lay_ground(rng, sky(rng, clouds=0.3), 0.5, (120, 180, 80), (90, 160, 60), 0.14))
    draw = brush(image)
    for x in range(-int(rng.integers(0, 9)), SIDE, 9):
        picket = [(x, 72), (x, 42), (x + 3, 37), (x + 6, 42), (x + 6, 72)]
        draw.polygon(picket, fill=(248, 246, 240), outline=(205, 200, 190))
    for _ in range(16):
        x, y = int(rng.integers(0, SIDE)), int(rng.uniform(0.52, 0.64) * SIDE)
        bloom = ((235, 70, 90), (250, 200, 60), (200, 90, 210), (250, 250, 250))[rng.integers(4)]
        draw.ellipse([x - 4, y - 2, x + 4, y + 6], fill=(50, 120, 50))
        draw.ellipse([x - 3, y - 5, x + 3, y + 1], fill=bloom)
    return image


def wooden_table(rng: Rng) -> Image.Image:
    """A wooden table top before a plain wall."""
    wall, edge = vary(rng, (200, 190, 180), 30), int(rng.uniform(0.48, 0.6) * SIDE)
    pixels = gradient(wall, darker(wall, 0.9))
    pixels[edge:] = planks(rng, SIDE - edge, (165, 110, 65), 4)
    pixels[edge : edge + 2] *= 0.8
    return to_image(pixels)


def farm(rng: Rng) -> Image.Image:
    """A red barn on straw-coloured ground."""
    pixels = lay_ground(rng, sky(rng, clouds=0.6), 0.52, (200, 185, 100), (170, 150, 70), 0.2, (4, 10, 50))
    image = to_image(pixels)
    draw, x, paint = brush(image), int(rng.uniform(0.05, 0.55) * SIDE), vary(rng, (180, 50, 45), 14)
    draw.rectangle([x, 43, x + 44, 74], fill=paint)
    draw.polygon([(x - 4, 45), (x + 22, 25), (x + 48, 45)], fill=(110, 70, 60))
    draw.rectangle([x + 15, 56, x + 29, 74], fill=(245, 240, 235))
    draw.line([x + 15, 56, x + 29, 74], fill=paint, width=2)
    return image


def open_sky(rng: Rng) -> Image.Image:
    """Nothing but sky and clouds."""
    return to_image(sky(rng, clouds=1.0))


def plain_background(rng: Rng) -> Image.Image:
    """A studio backdrop in a pale colour."""
    pale = (
        (250, 250, 250), (235, 235, 235), (250, 225, 170), (190, 225, 245), (215, 190, 235), (190, 235, 200),
        (245, 200, 205),
    )  # fmt: skip
    colour = vary(rng, pale[rng.integers(len(pale))], 8)
    return to_image(gradient(colour, darker(colour, 0.92)))


PLACES: Mapping[str, Callable[[Rng], Image.Image]] = MappingProxyType(
    {
        "beach": beach,
        "ocean": ocean,
        "forest": forest,
        "meadow": meadow,
        "snowy field": snowy_field,
        "desert": desert,
        "mountains": mountains,
        "city at night": city_at_night,
        "city street": city_street,
        "road": road,
        "kitchen": kitchen,
        "living room": living_room,
        "bedroom": bedroom,
        "outer space": outer_space,
        "underwater": underwater,
        "sunset": sunset,
        "garden": garden,
        "wooden table": wooden_table,
        "farm": farm,
        "sky": open_sky,
        "plain background": plain_background,
    }
)
"""Place name -> its painter; each returns an RGB image of SIDE x SIDE."""

FLOATING = frozenset({"sky", "outer space", "underwater", "ocean", "plain background"})
"""Places without a ground: objects hover in the middle and cast no shadow."""
