"""Find out which pipeline, parts and files a diffusers model has, in a folder or at a pinned hub revision, without loading it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_specs.errors import SpecError, in_one_line
from data_specs.json_text import parse_json
from models.renderer.variants import PartWeights, chosen, stem_of, variants_of
from models.weights import cached, damage, files_in, listed

INDEX = "model_index.json"
SETTING = "images.model"
UNUSED = {"safety_checker": None, "feature_extractor": None, "image_encoder": None, "watermarker": None}
"""Parts that are never loaded: safety is judged by the stage's own checker, and pixels stay as they were rendered."""
WEIGHTLESS = re.compile("Tokenizer|Scheduler|Processor|Extractor")


@dataclass(frozen=True, slots=True)
class Layout:
    """`parts` maps the names of the parts that are loaded to classes; `variant` is that of the weights to load, or None.

    `weights` are the files with weights that are loaded.
    """

    pipeline: str
    parts: dict[str, str]
    variant: str | None
    weights: frozenset[str]
    config_of: Callable[[str], dict[str, Any]]

    @property
    def unit(self) -> str:
        """The name of the part that denoises."""
        return "unet" if "unet" in self.parts else "transformer"


def read_layout(model: str, revision: str | None) -> Layout:
    """Raises SpecError for what is no pipeline, lacks a part or its weights, or holds a file that is broken."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return _of_folder(folder, model)
    at = cached(model, revision, INDEX)
    if at is not None:
        try:
            return _of_folder(at.parent, model)
        except SpecError:  # a download that was broken off: the hub has the rest
            pass
    from huggingface_hub import hf_hub_download

    names = listed(model, revision, setting=SETTING)

    def read(name: str) -> bytes:
        try:
            return Path(hf_hub_download(model, name, revision=revision)).read_bytes()
        except Exception as error:
            raise SpecError(
                f"{SETTING}: {name} of {model!r} cannot be had from the hub: {in_one_line(error, 200)}"
            ) from error

    return _layout(model, names, read)


def _of_folder(folder: Path, model: str) -> Layout:
    paths = files_in(folder)
    if lost := [path for path in paths if path.suffix in (".safetensors", ".json") and not path.exists()]:
        raise SpecError(
            f"{SETTING}: {lost[0].relative_to(folder)} of {model!r} is a link to {str(lost[0].readlink())!r}, where nothing "
            "is: fetch it again"
        )
    names = frozenset(path.relative_to(folder).as_posix() for path in paths if path.exists())
    if INDEX not in names and (inner := sorted(name for name in names if name.endswith(f"/{INDEX}"))):
        raise SpecError(f"{SETTING}: {model!r} holds no {INDEX}; {str(folder / inner[0].removesuffix(INDEX))!r} does")
    found = _layout(model, names, lambda name: (folder / name).read_bytes())
    for name in sorted(found.weights):
        if name.endswith(".safetensors") and (wrong := damage(folder / name)):
            raise SpecError(f"{SETTING}: {name} of {model!r} {wrong}: fetch it again")
    return found


def _layout(model: str, names: frozenset[str], read: Callable[[str], bytes]) -> Layout:
    if INDEX not in names:
        raise SpecError(f"{SETTING}: {model!r} holds no {INDEX}: it is no diffusers pipeline; convert it to one first")

    def config_of(name: str) -> dict[str, Any]:
        try:
            found = parse_json(read(name))
        except (OSError, ValueError) as error:
            raise SpecError(f"{SETTING}: {name} of {model!r} cannot be read as JSON: fetch it again") from error
        if not isinstance(found, dict):
            raise SpecError(f"{SETTING}: {name} of {model!r} is no JSON object: fetch it again")
        return found

    index = config_of(INDEX)
    pipeline = index.get("_class_name")
    if not isinstance(pipeline, str):
        raise SpecError(
            f"{SETTING}: {INDEX} of {model!r} names no pipeline of diffusers; code that a model brings is not run"
        )
    entries = {
        name: (str(entry[0]), str(entry[1]))
        for name, entry in index.items()
        if isinstance(entry, list) and len(entry) == 2 and entry[1] and name not in UNUSED
    }
    if not entries.keys() & {"unet", "transformer"}:
        raise SpecError(f"{SETTING}: {INDEX} of {model!r} names neither a unet nor a transformer: no part that renders")
    for name, (_, kind) in entries.items():
        if WEIGHTLESS.search(kind) and not _within(names, name):
            raise _lacking(model, name)
    weighty = {name: library for name, (library, kind) in entries.items() if not WEIGHTLESS.search(kind)}
    variant, files = _weights(model, weighty, names, config_of)
    return Layout(pipeline, {name: kind for name, (_, kind) in entries.items()}, variant, files, config_of)


def _within(names: frozenset[str], part: str) -> frozenset[str]:
    return frozenset(name.removeprefix(f"{part}/") for name in names if name.startswith(f"{part}/"))


def _lacking(model: str, what: str) -> SpecError:
    return SpecError(f"{SETTING}: {INDEX} of {model!r} names {what!r}, which is not there: fetch it whole")


def _weights(
    model: str, libraries: dict[str, str], names: frozenset[str], config_of: Callable[[str], dict[str, Any]]
) -> tuple[str | None, frozenset[str]]:
    """The variant to load, and the files of all parts. Raises SpecError for a part that cannot be loaded."""
    found: dict[str, dict[str | None, PartWeights]] = {}
    for part, library in libraries.items():
        within = _within(names, part)
        if not within:
            raise _lacking(model, part)

        def shards_of(index: str, part: str = part) -> frozenset[str]:
            weight_map = config_of(f"{part}/{index}").get("weight_map")
            return frozenset(map(str, weight_map.values())) if isinstance(weight_map, dict) else frozenset()

        found[part] = variants_of(library, within, shards_of)
        if not found[part]:
            raise SpecError(
                f"{SETTING}: part {part!r} of {model!r} holds no {stem_of(library, within)}.safetensors; other names and "
                "formats are not read: convert it"
            )
    variant, loaded = chosen(found)
    if None in loaded.values():
        listed_ones = "; ".join(f"{part}: {', '.join(sorted(map(str, each)))}" for part, each in found.items())
        raise SpecError(f"{SETTING}: parts of {model!r} come in variants that they do not share ({listed_ones})")
    files = {f"{part}/{name}" for part, weights in loaded.items() if weights for name in weights.files}
    if lacking := sorted(files - names):
        raise SpecError(f"{SETTING}: {lacking[0]} of {model!r} is not there: fetch it whole")
    # diffusers looks for the variant in the second part of each name (pipelines/pipeline_loading_utils.py).
    if variant and (odd := sorted(name for part in libraries for name in _bare(names, part))):
        raise SpecError(f"{SETTING}: diffusers stumbles over {odd[0]} of {model!r}, a name without a dot: remove it")
    return variant, frozenset(files)


def _bare(names: frozenset[str], part: str) -> list[str]:
    return [f"{part}/{name}" for name in _within(names, part) if "/" not in name and "." not in name]
