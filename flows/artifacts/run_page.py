"""A run at its end enters; one page with all its rooms, its report and its scores stands on the server."""

from collections.abc import Iterator
from datetime import UTC, datetime

from prefect.artifacts import create_markdown_artifact

from data_specs.run import ROOMS, Run
from flows.artifacts.keys import key, links
from flows.artifacts.lineage_page import table
from flows.artifacts.publish import only_said
from flows.report.sealed_stages import Walked, walked_rooms
from flows.runs.resolve import rooms
from flows.runs.throughput import busy
from tasks.scores.summary import headline


def publish_run(run: Run, report: str) -> None:
    """To be called in the flow of the whole walk; what goes wrong is said, and fails nothing."""
    with only_said(f"the page of run {run.name}"):
        create_markdown_artifact(run_page(run, report), key(run.name, "run", "summary"), f"the whole run {run.name}")


def run_page(run: Run, report: str) -> str:
    """Rooms in walking order, each with links to what is shown of it; those that this recipe has not reached are named."""
    walked = walked_rooms(run)
    parts = [f"# {run.name}", _table(run, walked)]
    if missing := [room for room in ROOMS if room not in walked]:
        parts.append(f"Not reached yet: {', '.join(missing)}.")
    if "scores" in walked:
        lines = headline(rooms(run.spec, run.root)["scores"].shards)
        parts += ["## Scores", "\n".join(f"* {line}" for line in lines)]
    parts += ["## Report", f"`{report}`", "## Root", f"`{run.root}`"]
    return "\n\n".join(parts) + "\n"


def _table(run: Run, walked: dict[str, Walked]) -> str:
    return table(("room", "see", "shards", "accepted", "rejected", "made last", "in"), _lines(run, walked))


def _lines(run: Run, walked: dict[str, Walked]) -> Iterator[tuple[str, ...]]:
    for name, room in walked.items():
        sealed = room.sealed
        made = f"{sealed.made:,}, {datetime.fromtimestamp(room.unix_time, UTC):%Y-%m-%d %H:%M} UTC"
        yield (
            name,
            ", ".join(links(run.name, name)),
            f"{sealed.shards:,}",
            f"{sealed.accepted:,}",
            f"{sum(sealed.rejected.values()):,}",
            made,
            ", ".join(filter(None, (f"{room.seconds:.1f} s", busy(room.engine_busy)))),
        )
