"""Name artifacts and link to them: a key is the same for every stage run, so that it has a history."""

import re

from data_specs.ids import digest

SHOWN = {"captions": ("samples",), "images": ("sheet",), "scores": ("table",)}
"""What is shown of a stage beside its lineage and counts."""


def key(run: str, stage: str, what: str) -> str:
    """Lower-case letters, digits and dashes, as Prefect requires; names that would become one get a digest of their own."""
    plain = re.sub(r"[^a-z0-9]+", "-", run.lower()).strip("-")
    if plain != run:
        plain = f"{plain}-{digest(run)[:6]}"
    return f"{plain}-{stage}-{what}"


def link(run: str, stage: str, what: str, text: str) -> str:
    """Markdown; relative, since the server of one run listens at another port each time."""
    return f"[{text}](/artifacts/key/{key(run, stage, what)})"


def links(run: str, stage: str) -> list[str]:
    """Link to everything that is shown of a stage, its lineage first."""
    return [link(run, stage, what, what) for what in ("lineage", "counts", *SHOWN.get(stage, ()))]


def run_link(flow_run: str, text: str) -> str:
    return f"[{text}](/runs/flow-run/{flow_run})"
