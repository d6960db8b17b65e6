"""How fast the last run of a stage was, as numbers and in words."""

from data_specs.specs.run import RunSpec
from data_specs.stage import SealedStage

QUICK_SECONDS = 0.05
"""Under which a rate says nothing."""


def made_records(sealed: SealedStage, spec: RunSpec) -> float:
    """What the run made itself, as a share of all there is: records of the stage, images in images."""
    each = spec.images.per_caption if sealed.name == "images" else 1
    return each * sealed.accepted * sealed.made / sealed.count if sealed.count else 0.0


def per_second(sealed: SealedStage, spec: RunSpec) -> float | None:
    """Start and end of the engines included. None where nothing was made, and of an encoder, whose records are checkpoints."""
    count = made_records(sealed, spec)
    return None if sealed.name == "encoder" or sealed.seconds < QUICK_SECONDS or count == 0 else count / sealed.seconds


def busy(share: float | None) -> str:
    """`engines 97.3 % busy`; nothing where nobody measured it."""
    return "" if share is None else f"engines {100 * share:.1f} % busy"


def format_number(number: float) -> str:
    """Three digits that count, and no powers of ten: `1,320`, `8.24`, `0.0961`."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
