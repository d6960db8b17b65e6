"""Rasterise the pinned icon packages into one lossless WebP sheet of tight-cropped 64 px sprites per style.

Run ``python -m tiny_renderer.build_art``; it needs ``npm`` (for ``npm pack`` alone, nothing is installed) or a folder
that already holds the tarballs, and ``resvg-py``. Nothing else in the project needs either: the sheets are committed.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data_specs.errors import ContractError, EngineError

WORLD = Path(__file__).resolve().parents[1] / "data_specs" / "tiny_world"
CELL = 64
COLUMNS = 16
RASTER = 256
"""Icons are rasterised at four times the cell, so that the crop is tight to a quarter of a sprite pixel."""
VISIBLE_ALPHA = 24


def fetch(package: str, version: str, integrity: str, folder: Path) -> Path:
    """Return the tarball of ``package``, packed by npm unless ``folder`` has it; ContractError if its digest differs."""
    tarball = folder / f"{package.removeprefix('@').replace('/', '-')}-{version}.tgz"
    if not tarball.exists():
        done = subprocess.run(
            ["npm", "pack", f"{package}@{version}"], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise EngineError(f"npm pack {package}@{version} failed: {done.stderr.strip()[-300:]}; is npm installed?")
    found = "sha512-" + base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if found != integrity:
        raise ContractError(
            f"{tarball.name} has digest {found}, sources.json pins {integrity}; delete it and try again"
        )
    return tarball


def vector_icon(icons: dict[str, Any], name: str) -> Image.Image:
    """Rasterise one iconify icon to a square RGBA image of side ``RASTER``, following aliases."""
    import resvg_py

    while name not in icons["icons"]:
        if name not in icons.get("aliases", {}):
            raise ContractError(f"icon {name!r} is not in the package; check sources.json")
        name = icons["aliases"][name]["parent"]
    icon = icons["icons"][name]
    width = icon.get("width", icons.get("width", 16))
    height = icon.get("height", icons.get("height", 16))
    box = f"{icon.get('left', 0)} {icon.get('top', 0)} {width} {height}"
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{box}" width="{width}" height="{height}">{icon["body"]}</svg>'
    )
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=RASTER, height=RASTER))
    return Image.open(io.BytesIO(png)).convert("RGBA")


def tight_sprite(icon: Image.Image) -> Image.Image:
    """Crop to what is visible and scale the longer side to ``CELL``, in premultiplied alpha so that no rim darkens."""
    box = icon.getchannel("A").point(lambda alpha: 255 if alpha > VISIBLE_ALPHA else 0).getbbox()
    if box is None:
        raise ContractError("an icon rasterised to nothing; the rasteriser or the package is not the pinned one")
    cropped = icon.crop(box)
    scale = CELL / max(cropped.size)
    size = (max(1, round(cropped.width * scale)), max(1, round(cropped.height * scale)))
    scaled = cropped.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA")
    pixels = np.array(scaled)
    pixels[pixels[..., 3] < 4] = 0  # invisible colours cost bytes
    return Image.fromarray(pixels)


def read_icons(tarball: Path, names: list[str]) -> list[Image.Image]:
    """Return the RGBA icons ``names`` of one package: iconify's ``icons.json``, or a folder of WebP files by code point."""
    with tarfile.open(tarball) as archive:
        members = set(archive.getnames())

        def content(path: str) -> bytes:
            handle = archive.extractfile(path)
            if handle is None:
                raise ContractError(f"{tarball.name} holds no file {path}")
            return handle.read()

        if "package/icons.json" in members:
            icons = json.loads(content("package/icons.json"))
            return [vector_icon(icons, name) for name in names]
        return [Image.open(io.BytesIO(content(f"package/assets/{name}.webp"))).convert("RGBA") for name in names]


def build_sheet(style: str, source: dict[str, Any], concepts: list[str], packages: Path) -> None:
    """Write ``<split>/<style>.webp`` and ``<split>/<style>.json`` (concept -> x, y, width, height in pixels)."""
    tarball = fetch(source["package"], source["version"], source["integrity"], packages)
    icons = read_icons(tarball, [source["icons"][concept] for concept in concepts])
    rows = -(-len(concepts) // COLUMNS)
    sheet = Image.new("RGBA", (COLUMNS * CELL, rows * CELL))
    boxes: dict[str, list[int]] = {}
    for place, (concept, icon) in enumerate(zip(concepts, icons, strict=True)):
        sprite = tight_sprite(icon)
        x, y = place % COLUMNS * CELL, place // COLUMNS * CELL
        sheet.paste(sprite, (x, y))
        boxes[concept] = [x, y, sprite.width, sprite.height]
    folder = WORLD / source["split"]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{style}.webp"
    # Compared by pixels: another libwebp has other bytes for the same.
    if not (path.exists() and _pixels(Image.open(path)) == _pixels(sheet)):
        sheet.save(path, lossless=True, quality=100, method=6)
    index = {"style": style, "package": f"{source['package']}@{source['version']}", "licence": source["licence"]}
    (folder / f"{style}.json").write_text(json.dumps({**index, "sprites": boxes}) + "\n")


def _pixels(sheet: Image.Image) -> bytes:
    """The RGBA bytes, with the colours of transparent pixels, which nobody sees, set to zero."""
    pixels = np.array(sheet.convert("RGBA"))
    pixels[pixels[..., 3] == 0] = 0
    return pixels.tobytes()


def main() -> None:
    """Build every sheet that ``sources.json`` names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, help="folder that holds, or shall hold, the tarballs")
    given = parser.parse_args().packages
    concepts = [concept["name"] for concept in json.loads((WORLD / "world.json").read_text())["concepts"]]
    sources = json.loads((WORLD / "sources.json").read_text())["styles"]
    with tempfile.TemporaryDirectory() as scratch:
        packages = given or Path(scratch)
        packages.mkdir(parents=True, exist_ok=True)
        for style, source in sources.items():
            build_sheet(style, source, concepts, packages)
            print(f"{source['split']}/{style}.webp: {len(concepts)} sprites from {source['package']}", flush=True)


if __name__ == "__main__":
    main()
