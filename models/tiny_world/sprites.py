"""Cut the committed sprite sheets into one RGBA sprite per concept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from PIL import Image

from data_specs.errors import ContractError, SpecError
from data_specs.json_text import parse_json

SHEETS = Path(__file__).resolve().parents[2] / "data_specs" / "tiny_world"

Sheet = Mapping[str, Image.Image]
"""Concept name -> RGBA sprite, cropped tight, longer side 64 px."""
Sheets = Mapping[str, Sheet]
"""Style name -> its sheet."""


def read_sheets(folder: Path) -> Sheets:
    """Cut every sheet of ``folder`` into sprites; ContractError if it holds none."""
    indexes = sorted(folder.glob("*.json"))
    if not indexes:
        raise ContractError(f"{folder} holds no sprite sheet; run `python -m tiny_renderer.build_art`")
    return MappingProxyType({index.stem: _cut(index) for index in indexes})


def _cut(index: Path) -> Sheet:
    sheet = Image.open(index.with_suffix(".webp")).convert("RGBA")
    boxes: dict[str, list[int]] = parse_json(index.read_text())["sprites"]
    return MappingProxyType(
        {concept: sheet.crop((x, y, x + width, y + height)) for concept, (x, y, width, height) in boxes.items()}
    )


@lru_cache(maxsize=1)
def training_sheets() -> Sheets:
    """Return the five styles that the renderer, and its judge, are trained on."""
    return read_sheets(SHEETS / "training")


def require_training_styles(styles: Collection[str]) -> None:
    """Raise SpecError for a style that the renderer may not be trained on, or that does not exist."""
    known = sorted(index.stem for index in (SHEETS / "training").glob("*.json"))
    if wrong := sorted(set(styles) - set(known)):
        raise SpecError(f"styles: {', '.join(wrong)} is no training style; those are {', '.join(known)}")


@lru_cache(maxsize=1)
def evaluation_sheets() -> Sheets:
    """Return the three styles, by other artists, that only the styles probe may see."""
    return read_sheets(SHEETS / "evaluation")
