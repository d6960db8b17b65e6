"""Find out which files a part of a pipeline is loaded from: plain or of a variant (fp16), whole or in shards.

As diffusers and transformers do: a variant is taken for every part that has it, and plain weights for the others.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

WEIGHTS = re.compile(r"[^.]+?(?:\.(?P<variant>[a-z]\w*))?(?:-\d{5}-of-\d{5})?\.safetensors")
INDEX = re.compile(r"[^.]+\.safetensors(?:\.(?P<legacy>[a-z]\w*))?\.index(?:\.(?P<variant>[a-z]\w*))?\.json")
STEMS = {"diffusers": "diffusion_pytorch_model", "transformers": "model"}


@dataclass(frozen=True, slots=True)
class PartWeights:
    """The files that a part is loaded from in one variant, and those of them that are not there."""

    files: frozenset[str]
    lacking: frozenset[str]


def stem_of(library: str, within: frozenset[str]) -> str:
    """How files with weights are called; parts of other libraries are models of one of the two."""
    found = [stem for stem in STEMS.values() if any(name.startswith(f"{stem}.") for name in within)]
    return STEMS.get(library, found[0] if found else STEMS["diffusers"])


def variants_of(
    library: str, within: frozenset[str], shards_of: Callable[[str], frozenset[str]]
) -> dict[str | None, PartWeights]:
    """The variants in which a part's files (`within`) have weights. `shards_of` reads an index: the files that it names."""
    stem = stem_of(library, within)
    named = {found["variant"] for found in map(WEIGHTS.fullmatch, within) if found}
    named |= {found["variant"] or found["legacy"] for found in map(INDEX.fullmatch, within) if found}
    found: dict[str | None, PartWeights] = {}
    for variant in named:
        mark = f".{variant}" if variant else ""
        single = f"{stem}{mark}.safetensors"
        indices = dict.fromkeys((f"{stem}.safetensors.index{mark}.json", f"{stem}.safetensors{mark}.index.json"))
        index = next((name for name in indices if name in within), None)
        # Where there are both, transformers take the whole file and diffusers the shards.
        if index and not (stem == STEMS["transformers"] and single in within):
            shards = shards_of(index)
            found[variant] = PartWeights(shards | {index}, shards - within)
        elif single in within:
            found[variant] = PartWeights(frozenset({single}), frozenset())
        elif any(_is_shard(name, stem, variant) for name in within):
            found[variant] = PartWeights(frozenset({next(iter(indices))}), frozenset({next(iter(indices))}))
    return found


def _is_shard(name: str, stem: str, variant: str | None) -> bool:
    found = WEIGHTS.fullmatch(name)
    return bool(found and found["variant"] == variant and re.match(rf"{stem}(-|\.\w+-|\.)", name))


def chosen(
    parts: Mapping[str, Mapping[str | None, PartWeights]],
) -> tuple[str | None, dict[str, PartWeights | None]]:
    """The variant to load, and what it loads of each part: plain weights where all parts have them whole, else `fp16` first.

    Where none is whole, the one that lacks least: its parts may lack files, or be None.
    """
    named = {variant for weights in parts.values() for variant in weights if variant}
    loaded: dict[str | None, dict[str, PartWeights | None]] = {
        variant: {part: weights.get(variant, weights.get(None)) for part, weights in parts.items()}
        for variant in (None, *sorted(named, key=lambda name: (name != "fp16", name)))
    }

    def lacks(variant: str | None) -> tuple[int, int]:
        found = loaded[variant].values()
        return sum(each is None for each in found), sum(len(each.lacking) for each in found if each)

    best = min(loaded, key=lacks)
    return best, loaded[best]
