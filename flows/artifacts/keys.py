"""A run's name and what is shown enter; the artifact's key leaves: the same for every visit, so that it has a history."""

import re

from data_specs.ids import digest

SHOWN = {"captions": ("samples",), "images": ("sheet",), "scores": ("table",)}
"""What is shown of a room beside its lineage and counts."""


def key(run: str, room: str, what: str) -> str:
    """Lower-case letters, digits and dashes, as Prefect wants them; names that would become one get a word of their own."""
    plain = re.sub(r"[^a-z0-9]+", "-", run.lower()).strip("-")
    if plain != run:
        plain = f"{plain}-{digest(run)[:6]}"
    return f"{plain}-{room}-{what}"


def link(run: str, room: str, what: str, text: str) -> str:
    """Markdown; relative, since a server of a walk's own listens at another port each time."""
    return f"[{text}](/artifacts/key/{key(run, room, what)})"


def links(run: str, room: str) -> list[str]:
    """To everything that is shown of a room, its lineage first."""
    return [link(run, room, what, what) for what in ("lineage", "counts", *SHOWN.get(room, ()))]


def run_link(flow_run: str, text: str) -> str:
    return f"[{text}](/runs/flow-run/{flow_run})"
