"""What a room's last walk made, and in how long, enters; how fast that was leaves, as numbers and in words."""

from data_specs.run import RunSpec
from data_specs.shard import SealedRoom

QUICK_SECONDS = 0.05
"""Under which a rate says nothing."""


def made(sealed: SealedRoom, spec: RunSpec) -> float:
    """What the walk made itself, as a share of all there is: records of the room, pictures in images."""
    each = spec.images.per_caption if sealed.room == "images" else 1
    return each * sealed.accepted * sealed.made / sealed.shards if sealed.shards else 0.0


def per_second(sealed: SealedRoom, seconds: float, spec: RunSpec) -> float | None:
    """Start and end of the engines included. None where nothing was made, and of an encoder, whose records are checkpoints."""
    count = made(sealed, spec)
    return None if sealed.room == "encoder" or seconds < QUICK_SECONDS or count == 0 else count / seconds


def busy(share: float | None) -> str:
    """`engines 97.3 % busy`; nothing where nobody measured it."""
    return "" if share is None else f"engines {100 * share:.1f} % busy"


def figure(number: float) -> str:
    """Three digits that count, and no powers of ten: `1,320`, `8.24`, `0.0961`."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
