"""Name artifacts and link to them: a key is the same for every stage run, so that it has a history; an id is of one run."""

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


def shown_of(stage: str) -> tuple[str, ...]:
    """Everything that is shown of a stage, its lineage first."""
    return ("lineage", "counts", *SHOWN.get(stage, ()))


def artifact_link(artifact: str, text: str) -> str:
    """Markdown; relative, since the server of one run listens at another port each time."""
    return f"[{text}](/artifacts/artifact/{artifact})"


def history_link(run: str, stage: str, what: str, text: str) -> str:
    """To all artifacts of a key, the newest first."""
    return f"[{text}](/artifacts/key/{key(run, stage, what)})"


def run_link(flow_run: str, text: str) -> str:
    return f"[{text}](/runs/flow-run/{flow_run})"
