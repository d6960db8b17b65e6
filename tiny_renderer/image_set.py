"""Render the scenes of a split once, in chunks (npy) with their descriptions (JSON), and read them back."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.tiny_world.scenes import Scene, draw_with_masks
from models.tiny_world.sprites import require_training_styles, training_sheets
from models.tiny_world.world import World, read_world
from tiny_renderer.captions_of_scenes import PROSE, ProseSentence, read_prose
from tiny_renderer.sampling import framed_close, sample_scene, scene_seed

CHUNK = 4096
SIDE = 64
PROSE_SPLIT = "spoken"
"""The split whose scenes show the relations of the prose. Its seeds follow from this name."""


def scenes_of(split: str, first: int, count: int, styles: Sequence[str] | None = None) -> Iterator[tuple[Scene, int]]:
    """Yield the scenes numbered ``first`` to ``first + count`` of ``split``, each with the seed that draws it."""
    world, styles = read_world(), tuple(styles or training_sheets())
    sentences = related_prose(world) if split == PROSE_SPLIT else []
    for number in range(first, first + count):
        seed = scene_seed(split, number)
        scene = sample_scene(world, styles, seed)
        if sentences:
            scene = scene_of_sentence(scene, sentences[number % len(sentences)])
        yield scene, seed


def related_prose(world: World) -> list[ProseSentence]:
    """Return the sentences that put two concepts in a relation: too many triples for chance to draw one of them."""
    return [sentence for sentence in read_prose(PROSE, world) if sentence.relation is not None]


def scene_of_sentence(scene: Scene, sentence: ProseSentence) -> Scene:
    """Return what ``sentence`` says, in the style of ``scene``, and in its place where the sentence names none."""
    place = sentence.place or scene.place or "plain background"
    return Scene(scene.style, sentence.concept, place, sentence.relation, sentence.other, detail=sentence.detail)


def render_chunk(folder: Path, split: str, chunk: int, count: int = CHUNK, styles: Sequence[str] | None = None) -> Path:
    """Draw one chunk, uint8 (count, 64, 64, 3), in the training styles or some of them, with its masks, uint8 (count, 64, 64).

    One that is there is left alone.
    """
    pixels_path, scenes_path = folder / f"{split}-{chunk:04d}.npy", folder / f"{split}-{chunk:04d}.json"
    if scenes_path.exists():
        return pixels_path
    folder.mkdir(parents=True, exist_ok=True)
    sheets = training_sheets()
    pixels, shows = np.empty((count, SIDE, SIDE, 3), np.uint8), np.empty((count, SIDE, SIDE), np.uint8)
    described: list[dict[str, str | None]] = []
    for row, (scene, seed) in enumerate(scenes_of(split, chunk * CHUNK, count, styles)):
        drawn = draw_with_masks(scene, sheets, seed, SIDE, close=framed_close(seed))
        pixels[row], shows[row] = np.asarray(drawn.image), np.asarray(drawn.shows)
        described.append(asdict(scene))
    for path, array in ((pixels_path, pixels), (masks_of(pixels_path), shows)):
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.save(file, array, allow_pickle=False)
        partial.replace(path)
    partial = scenes_path.with_suffix(".partial")
    partial.write_text(json.dumps(described))
    partial.replace(scenes_path)  # the descriptions come last: a chunk with them is whole
    return pixels_path


def masks_of(pixels: Path) -> Path:
    """Return the file of the masks beside a chunk's pixels."""
    return pixels.with_suffix(".shows.npy")


def render_split(folder: Path, split: str, scenes: int, workers: int, styles: Sequence[str] | None = None) -> None:
    """Draw the first ``scenes`` scenes of ``split`` (rounded up to whole chunks unless there is but one)."""
    chunks = [(folder, split, chunk, min(CHUNK, scenes), styles) for chunk in range(-(-scenes // CHUNK))]
    if workers == 1 or len(chunks) < 2:
        for chunk in chunks:
            render_chunk(*chunk)
        return
    with ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn")) as pool:
        for _ in pool.map(render_chunk, *zip(*chunks, strict=True)):
            pass


class SceneSet:
    """Rendered chunks of one split as one indexable set, mapped, not read; of all styles or of some."""

    def __init__(self, folder: Path, pattern: str, styles: Collection[str] | None = None) -> None:
        """``pattern`` names the chunks: a split with a star, or one chunk. Scenes without a concept have every style.

        Raises SpecError for a style that is not one of training: the set would hold places alone.
        """
        require_training_styles(styles or ())
        descriptions = sorted(folder.glob(f"{pattern}.json"))
        self.scenes: list[Scene] = []
        self._chunks: list[NDArray[np.uint8]] = []
        self._masks: list[NDArray[np.uint8]] = []
        self._where: list[tuple[int, int]] = []
        for number, path in enumerate(descriptions):
            self._chunks.append(np.load(path.with_suffix(".npy"), mmap_mode="r"))
            self._masks.append(np.load(masks_of(path.with_suffix(".npy")), mmap_mode="r"))
            for row, entry in enumerate(json.loads(path.read_text())):
                scene = Scene(**entry)
                if styles is None or scene.concept is None or scene.style in styles:
                    self.scenes.append(scene)
                    self._where.append((number, row))

    def __len__(self) -> int:
        return len(self.scenes)

    def pixels(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images ``rows``, uint8 (n, 64, 64, 3)."""
        return np.stack([self._chunks[chunk][row] for chunk, row in (self._where[k] for k in rows)])

    def masks(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return what the pixels of images ``rows`` show, uint8 (n, 64, 64): see ``models.tiny_world.scenes.Drawn``."""
        return np.stack([self._masks[chunk][row] for chunk, row in (self._where[k] for k in rows)])
