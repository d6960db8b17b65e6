"""A raw name enters; a clean one leaves, or the reason why it cannot name a concept. Pure."""

import unicodedata

LONGEST = 80
"""Characters. The longest of ImageNet's curated names has 32; longer ones are sentences, not names."""


def clean(raw: str) -> str:
    """Unicode composed, underscores and runs of white space to one space, case kept (SynCLR keeps it)."""
    return " ".join(unicodedata.normalize("NFKC", raw).replace("_", " ").split())


def fault(name: str) -> str | None:
    """`empty`, `too_long`, `control_characters`, or None for a usable name."""
    if not any(character.isalnum() for character in name):
        return "empty"
    if len(name) > LONGEST:
        return "too_long"
    if any(unicodedata.category(character).startswith("C") for character in name):
        return "control_characters"
    return None
