"""The page of one run: its stages with their shards as they are sealed, what failed, and the command that goes on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from data_specs.stage import INNER_STAGES, RECORDS, STAGES, SealedStage, Stage
from flows.inspect.readable import readable
from flows.inspect.stage_events import FAILED, STOPPED, StageEvent, failed_stage, last_events, waiting_stage
from flows.runs.commands import repair
from flows.runs.lineages import made_by
from flows.runs.plan import RunPlan, read_sealed, run_names
from flows.runs.recipes import format_overrides
from flows.runs.status import progress, state
from flows.site.addresses import FRONT, run_page
from flows.site.flow_runs import links_to
from flows.site.grid import CELLS, LISTED, GridCell, cells
from flows.site.rates import StageRate, counted, open_rate, sealed_rate
from flows.site.site import Site, SitePage
from flows.site.thumbnails import images_of_run
from tasks import storage
from tasks.scores.summary import headline
from tasks.shards import missing

MOST_CELLS = 200
"""Of one stage on this page, which is read again every few seconds; a larger stage has its shards on pages of their own."""


@dataclass(frozen=True, slots=True)
class StageView:
    """One stage on the page of its run. `cells` is empty where there are more than `MOST_CELLS`; `pages` then hold them.

    `wanted`: the run was asked for it. `trouble` says why it failed, or why its rate cannot be told. `flow_run` worked on it.
    """

    stage: Stage
    inner: bool
    wanted: bool
    rate: StageRate
    sealed: SealedStage | None
    records: str
    cells: list[GridCell]
    pages: int
    trouble: str
    flow_run: str


def run_view(site: Site, run: str) -> SitePage:
    plan = site.plan(run)
    rows, sealed, events = progress(plan), read_sealed(plan), last_events(plan)
    stages = [_stage(site, plan, name, sealed, events.get(name)) for name in plan.stages]
    words, open_ = state(plan, rows), any(row.made < row.planned for row in rows if row.stage in plan.requested)
    finished = words.startswith("finished")
    broken = [cell for view in stages for cell in view.cells if cell.state == "damaged"]
    failed, waits = failed_stage(plan, events), waiting_stage(plan, events)
    whole_run = next((event.whole_run for event in reversed(events.values()) if event.whole_run), "")
    flow_runs = [whole_run, *(view.flow_run for view in stages)]
    content = {
        "run": run,
        "plan": plan,
        "state": f"{words}, failed in {failed}" if failed else words,
        "kind": "damaged" if failed else "made" if finished else "open",
        "stages": stages,
        "images": images_of_run(plan),
        "headline": _headline(plan),
        "broken": broken[:LISTED],
        "more": len(broken[LISTED:]),
        "commands": repair(plan, [cell.shard for cell in broken[:LISTED]], None if finished else plan.until),
        "waits": waits,
        "holder": _holder(site, waits) if waits else None,
        "changes": format_overrides(plan.source["overrides"]),
        "flow_run": whole_run,
        "in_prefect": links_to(site, flow_runs),
        "report": "report.html" in storage.names(plan.folder),
        "logs": storage.names(f"{plan.folder}/logs"),
        "logs_folder": f"{plan.folder}/logs",
    }
    return SitePage("run.html", run, (("runs", FRONT),), content, refresh=open_)


def _holder(site: Site, event: StageEvent) -> str | None:
    """The page of the run that is waited for, if it lies under this root too."""
    holder = next((run for run in run_names(site.root) if f"run {run} " in event.waits), None)
    return run_page(holder) if holder else None


def _headline(plan: RunPlan) -> list[str]:
    stage = plan.stages["scores"]
    return [] if missing(stage) else readable(headline, stage)[0] or []


def _stage(
    site: Site, plan: RunPlan, name: str, recorded: Mapping[str, SealedStage], event: StageEvent | None
) -> StageView:
    stage = plan.stages[name]
    made = stage.count - len(missing(stage))
    record = recorded.get(name)
    sealed = record if record and record.lineage == stage.lineage and made == stage.count else None
    read, fault = readable(lambda: sealed_rate(sealed, plan) if sealed else open_rate(stage, plan, made))
    rate = read or StageRate(made, stage.count, "shards")
    trouble = _trouble(event, whole=made == stage.count)
    shown = cells(site, plan, stage, range(stage.count)) if stage.count <= MOST_CELLS else []
    return StageView(
        stage=stage,
        inner=name in INNER_STAGES,
        wanted=INNER_STAGES.get(name, name) in plan.requested,
        rate=replace(rate, speed="", left="") if trouble else rate,
        sealed=sealed,
        records=counted(sealed.accepted, RECORDS[name]) if sealed else "",
        cells=shown,
        pages=-(-stage.count // CELLS),
        trouble=fault or trouble,
        flow_run=_flow_run(stage, event),
    )


def _trouble(event: StageEvent | None, *, whole: bool) -> str:
    """Of a stage that has not been made since."""
    if event is None or whole or event.type not in (FAILED, STOPPED):
        return ""
    how = "failed" if event.type == FAILED else "was stopped"
    return f"{how} at {event.time[:16].replace('T', ' ')} UTC: {event.message}"


def _flow_run(stage: Stage, event: StageEvent | None) -> str:
    """By which a server knows who works on a stage, or who made its first shard."""
    if event and event.flow_run:
        return event.flow_run
    note = storage.read_bytes(stage.shard(0).file("made.json")) if stage.name in STAGES else None
    return str((made_by(note) or {}).get("flow_run") or "")
