"""Publish one page about a whole run at its end: all its stages, its report and its scores."""

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from prefect.artifacts import create_markdown_artifact

from data_specs.stage import STAGES, SealedStage
from flows.artifacts.keys import key, links
from flows.artifacts.lineage_page import table
from flows.artifacts.publish import never_fail
from flows.runs.plan import RunPlan, sealed_stages
from flows.runs.throughput import busy
from tasks.events import Notice
from tasks.scores.summary import headline

logger = logging.getLogger("synclr")


def publish_run(plan: RunPlan, report: str) -> None:
    """Write the page from within the flow of the whole run; `report` is the report's address.

    Whatever goes wrong is told to the run's listeners and its log, and fails nothing.
    """

    def notice(text: str) -> None:
        logger.warning(text)
        plan.emit(Notice(plan.name, "", text))

    with never_fail(f"the page of run {plan.name}", notice):
        create_markdown_artifact(run_page(plan, report), key(plan.name, "run", "summary"), f"the whole run {plan.name}")


def run_page(plan: RunPlan, report: str) -> str:
    """Stages in running order, each with links to what is shown of it; those that this plan has not sealed are named."""
    stages = sealed_stages(plan)
    head = ("stage", "see", "shards", "accepted", "rejected", "made last", "in")
    parts = [f"# {plan.name}", table(head, _lines(plan.name, stages))]
    if missing := [stage for stage in STAGES if stage not in stages]:
        parts.append(f"Not reached yet: {', '.join(missing)}.")
    if "scores" in stages:
        parts += ["## Scores", "\n".join(f"* {line}" for line in headline(stages["scores"]))]
    parts += ["## Report", f"`{report}`", "## Root", f"`{plan.root}`"]
    return "\n\n".join(parts) + "\n"


def _lines(run: str, stages: Mapping[str, SealedStage]) -> Iterator[tuple[str, ...]]:
    for name, stage in stages.items():
        yield (
            name,
            ", ".join(links(run, name)),
            f"{stage.count:,}",
            f"{stage.accepted:,}",
            f"{sum(stage.rejected.values()):,}",
            f"{stage.made:,}, {datetime.fromtimestamp(stage.unix_time, UTC):%Y-%m-%d %H:%M} UTC",
            ", ".join(filter(None, (f"{stage.seconds:.1f} s", busy(stage.engine_busy)))),
        )
