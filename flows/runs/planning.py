"""Turn a request into the plan of a run: recipe, overrides, growth and every lineage, resolved once and before any work."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from data_specs.errors import ContractError, SpecError
from data_specs.json_text import parse_json
from data_specs.stage import INNER_STAGES
from flows.runs.equal_shards import reuse_equal_shards
from flows.runs.plan import PLAN, RunPlan, read_plan, run_folder, write_plan
from flows.runs.preflight import preflight
from flows.runs.recipes import resolve_recipe
from flows.runs.request import Request
from flows.runs.resolve import resolve_stages
from tasks import storage
from tasks.captions.planning import require_plannable
from tasks.concepts.ingest import table_of
from tasks.events import Emit
from tasks.shard_leftovers import sweep_unsealed
from tasks.shards import missing

GROWTH = "growth.json"


def plan_run(request: Request, asked_by: str, listeners: Sequence[Emit] = ()) -> RunPlan:
    """Resolve, check and store the plan; sweep what killed processes left half-written.

    `asked_by` identifies who asks: asking again under the same id grows a run only once. Raises SpecError, before any work, for
    whatever can be refused now; a refused request changes nothing of a run. `listeners` hear what it found on the way.
    """
    grown, totals = _grown(request, asked_by)
    plan = resolve_plan(grown).model_copy(update={"listeners": tuple(listeners)})
    begin_plan(plan, totals)
    return plan.model_copy(update={"begun": True})


def begin_plan(plan: RunPlan, totals: dict[str, int] | None = None) -> None:
    """Refuse what can be refused, store the plan before the first shard, sweep, and reuse equal shards. Raises SpecError.

    `totals` are the sizes that were asked for by growth, to be remembered with the plan.
    """
    storage.require_writable(plan.root)
    here = [stage for name, stage in plan.stages.items() if INNER_STAGES.get(name, name) in plan.requested]
    storage.require_ours([plan.folder, *(stage.folder for stage in here if missing(stage))])
    require_same_recipe(plan)
    preflight(plan)
    if totals is not None:  # before the plan: a crash in between grows nothing twice
        storage.write_bytes(f"{plan.folder}/{GROWTH}", json.dumps(totals, indent=2).encode())
    write_plan(plan)
    for folder in (plan.folder, *(stage.folder for stage in here)):
        storage.sweep(folder)
    for stage in here:
        sweep_unsealed(stage)
    reuse_equal_shards(plan)


def require_same_recipe(plan: RunPlan) -> None:
    """Raises SpecError if a run of this name is of another recipe: its plan would be lost, and its work look so.

    Other settings of one recipe are a run's own, and the same recipe from another place is none other.
    """
    if storage.read_bytes(f"{plan.folder}/{PLAN}") is None:
        return
    try:
        before = read_plan(plan.root, plan.name)
    except ContractError:  # of another version, whose way out is to run it again
        return
    recipes = [each.source["recipe"] for each in (before, plan)]
    lineages = [{name: stage.lineage for name, stage in each.stages.items()} for each in (before, plan)]
    if recipes[0] != recipes[1] and lineages[0] != lineages[1]:
        raise SpecError(
            f"run {plan.name!r} is of recipe {recipes[0]!r}, not {recipes[1]!r}: give this one a `name` (--name) of its own, or "
            f"delete {plan.folder} if that run is no longer wanted"
        )


def resolve_plan(request: Request) -> RunPlan:
    """The plan that a request describes, as its files and models are now; nothing is written."""
    root = request.run_root
    spec = resolve_recipe(request.recipe, request.settings)
    concepts = table_of(spec.concepts)
    require_plannable(concepts, spec.captions)
    words: dict[str, Any] = {"since": request.since, "until": request.until, "source": request.source()}
    stages = resolve_stages(spec, root, concepts)
    return RunPlan(name=request.run_name, root=root, spec=spec, stages=stages, **words)


def replan(plan: RunPlan) -> RunPlan:
    """The plan as its request would be resolved today: a recipe edited since shows as stale stages.

    Where the recipe's file or a list is gone, what was resolved then still stands.
    """
    source = plan.source
    try:
        return resolve_plan(Request(source["recipe"], plan.name, plan.root, settings=source["overrides"]))
    except SpecError:
        return plan


def _grown(request: Request, asked_by: str) -> tuple[Request, dict[str, int] | None]:
    """The request with `grow` counted in, and the total that each asker asked for: a retry grows nothing further.

    A run that is not there yet gets the recipe's own size. What grew meanwhile is never made smaller.
    """
    if request.grow is None:
        return request, None
    folder = run_folder(request.run_root, request.run_name)
    totals: dict[str, int] = parse_json(storage.read_bytes(f"{folder}/{GROWTH}") or b"{}")
    if storage.read_bytes(f"{folder}/{PLAN}") is None:
        total, grow = resolve_recipe(request.recipe, request.settings).captions.total, 0
    else:
        total, grow = read_plan(request.run_root, request.run_name).spec.captions.total, request.grow
    totals = {asked_by: total + grow} | totals
    captions = request.settings.get("captions", {}) | {"total": max(total, totals[asked_by])}
    return replace(request, grow=None, settings=request.settings | {"captions": captions}), totals
