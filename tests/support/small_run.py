"""The tiny recipe cut small: knobs leave as a person types them into the form, and as the server takes them."""

from typing import Any

CAPTIONS = {"captions.total": 16, "captions.per_shard": 8}
WALK: dict[str, Any] = {
    "recipe": "tiny",
    **CAPTIONS,
    "encoder.steps": 6,
    "encoder.warmup_steps": 2,
    "encoder.captions_per_step": 8,
    "encoder.checkpoint_every": 2,
    "embeddings.benchmarks": ["styles"],
    "embeddings.copies": 1,
    "embeddings.random_inits": 1,
}


def parameters(typed: dict[str, Any]) -> dict[str, Any]:
    """`captions.total` -> `{"captions": {"total": ...}}`."""
    tree: dict[str, Any] = {}
    for path, value in typed.items():
        room, _, knob = path.rpartition(".")
        (tree.setdefault(room, {}) if room else tree)[knob] = value
    return tree


def redrawn(name: str, **images: Any) -> dict[str, Any]:
    """Parameters of the images deployment: the captions of the small walk, drawn in one knob's other way."""
    said = CAPTIONS | {f"images.{knob}": value for knob, value in images.items()}
    return parameters({"recipe": "tiny", "name": name, "execution.workers": 1, **said})
