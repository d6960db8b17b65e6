"""Find out which pipeline, parts and files a diffusers model has, in a folder or at a pinned hub revision, without loading it."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_specs.errors import SpecError
from models.weights import cached, damage, in_one_line, listed

INDEX = "model_index.json"
SETTING = "images.model"
UNUSED = {"safety_checker": None, "feature_extractor": None, "image_encoder": None, "watermarker": None}
"""Parts that are never loaded: safety is judged by the stage's own checker, and pixels stay as they were rendered."""
WEIGHTLESS = re.compile("Tokenizer|Scheduler|Processor|Extractor")
WEIGHTS = re.compile(r"[^.]+?(?:\.(?P<variant>[a-z]\w*))?(?:-\d{5}-of-\d{5})?\.safetensors")


@dataclass(frozen=True, slots=True)
class Layout:
    """`parts` maps the names of the parts that are loaded to classes; `variant` is that of the weights to load, or None."""

    pipeline: str
    parts: dict[str, str]
    variant: str | None
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
                f"{SETTING}: {name} of {model!r} cannot be had from the hub: {in_one_line(error)}"
            ) from error

    return _layout(model, names, read)


def _of_folder(folder: Path, model: str) -> Layout:
    names = frozenset(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    found = _layout(model, names, lambda name: (folder / name).read_bytes())
    for name in sorted(names):
        part, _, file = name.partition("/")
        weights = WEIGHTS.fullmatch(file)
        used = part in found.parts and weights and weights["variant"] in (None, found.variant)
        if used and (wrong := damage(folder / name)):
            raise SpecError(f"{SETTING}: {name} of {model!r} {wrong}: fetch it again")
    return found


def _layout(model: str, names: frozenset[str], read: Callable[[str], bytes]) -> Layout:
    if INDEX not in names:
        raise SpecError(f"{SETTING}: {model!r} holds no {INDEX}: it is no diffusers pipeline; convert it to one first")

    def config_of(name: str) -> dict[str, Any]:
        try:
            found = json.loads(read(name))
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
    parts = {
        name: str(entry[1])
        for name, entry in index.items()
        if isinstance(entry, list) and len(entry) == 2 and entry[1] and name not in UNUSED
    }
    variants = {
        name: _variants(model, name, names, config_of) for name, kind in parts.items() if not WEIGHTLESS.search(kind)
    }
    absent = [name for name, kind in parts.items() if WEIGHTLESS.search(kind) and not _within(names, name)]
    if absent:
        raise _lacking(model, absent[0])
    return Layout(pipeline, parts, _shared(model, variants), config_of)


def _within(names: frozenset[str], part: str) -> set[str]:
    return {name.removeprefix(f"{part}/") for name in names if name.startswith(f"{part}/")}


def _lacking(model: str, what: str) -> SpecError:
    return SpecError(f"{SETTING}: {INDEX} of {model!r} names {what!r}, which is not there: fetch it whole")


def _variants(
    model: str, part: str, names: frozenset[str], config_of: Callable[[str], dict[str, Any]]
) -> set[str | None]:
    """The variants in which the weights of one part exist."""
    within = _within(names, part)
    if not within:
        raise _lacking(model, part)
    found = {each["variant"] for each in map(WEIGHTS.fullmatch, within) if each}
    if not found:
        raise SpecError(
            f"{SETTING}: part {part!r} of {model!r} holds no .safetensors; other formats are not read: convert it"
        )
    for listing in (file for file in within if file.endswith(".safetensors.index.json")):
        weight_map = config_of(f"{part}/{listing}").get("weight_map")
        if absent := set(weight_map.values() if isinstance(weight_map, dict) else ()) - within:
            raise SpecError(f"{SETTING}: {part}/{min(absent)} of {model!r} is not there: fetch it whole")
    return found


def _shared(model: str, variants: dict[str, set[str | None]]) -> str | None:
    """The variant to load: None where all parts have plain weights, which is what a model was published as; else `fp16` first."""
    lacking = {part: found for part, found in variants.items() if None not in found}
    if not lacking:
        return None
    shared = sorted(name for name in set.intersection(*lacking.values()) if name)
    if not shared:
        listed_ones = "; ".join(f"{part}: {', '.join(map(str, found))}" for part, found in lacking.items())
        raise SpecError(f"{SETTING}: parts of {model!r} come in variants that they do not share ({listed_ones})")
    return "fp16" if "fp16" in shared else shared[0]
