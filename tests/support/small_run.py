"""The tiny recipe cut small: as a person types it into the form, and as the server takes it."""

from typing import Any

from support.person import IMAGES

ONE_WORKER = {"settings.execution.workers": 1}
"""A second engine of each stage takes longer to load than it saves."""
CAPTIONS: dict[str, Any] = {"settings.captions.total": 16, "settings.captions.per_shard": 8}
DRAWN_AT_ONCE: dict[str, Any] = {}
RANDOM_INITS = 1
if not IMAGES:  # which show what a person would see; tests are about the pages, and real engines take a minute to load
    CAPTIONS |= {"settings.captions.engine": "fake"}
    DRAWN_AT_ONCE = {"settings.images.engine": "fake"}
    RANDOM_INITS = 0
SMALL_RUN: dict[str, Any] = {
    "recipe": "tiny",
    **CAPTIONS,
    **DRAWN_AT_ONCE,
    "settings.encoder.steps": 6,
    "settings.encoder.warmup_steps": 2,
    "settings.encoder.captions_per_step": 8,
    "settings.encoder.checkpoint_every": 2,
    "settings.embeddings.benchmarks": ["styles"],
    "settings.embeddings.copies": 1,
    "settings.embeddings.random_inits": RANDOM_INITS,
    **ONE_WORKER,
}


def parameters(typed: dict[str, Any]) -> dict[str, Any]:
    """`settings.captions.total` -> `{"settings": {"captions": {"total": ...}}}`."""
    tree: dict[str, Any] = {}
    for path, value in typed.items():
        *outer, last = path.split(".")
        branch = tree
        for name in outer:
            branch = branch.setdefault(name, {})
        branch[last] = value
    return tree


def rendered_otherwise(name: str, **images: Any) -> dict[str, Any]:
    """Parameters of the images deployment: the captions of the small run, rendered by other settings."""
    settings = CAPTIONS | {f"settings.images.{setting}": value for setting, value in images.items()}
    return parameters({"recipe": "tiny", "name": name, **ONE_WORKER, **settings})
