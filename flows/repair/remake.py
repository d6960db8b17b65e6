"""Put the damaged image shards of a run aside, and make them and the missing ones again from their captions."""

import json
import time
from typing import Any

from data_specs.errors import ContractError
from data_specs.selection import SELECTION
from data_specs.shard import MadeBy, ShardAddress, ShardManifest
from data_specs.specs.images import ImagesSpec
from flows.inspect.verify import shard_faults
from flows.runs.plan import RunPlan, read_plan
from flows.runs.resolve import write_facts
from models.renderer.build import require_renderer
from models.scorer.build import require_scorers
from tasks.bundles import Work
from tasks.captions.select import select_shards
from tasks.engines import EngineProcess, Watch, engine_threads
from tasks.events import Emit, Notice, ignore
from tasks.images.render import ImageInputs, render_here
from tasks.shard_faults import fault_of
from tasks.shard_leftovers import put_aside
from tasks.shards import require_sealed, sealed


def remake_damaged(root: str, name: str, emit: Emit = ignore) -> dict[str, Any]:
    """Verify every image shard that the plan has, and make those that are damaged or missing again.

    Returns `{"checked", "repaired"}`: of each shard that was made again its `shard`, `faults`, the folder where the damaged
    files now lie (`put_aside`, None if none were there), and whether it is `identical` to what was sealed, which is None
    where the manifest was lost too.

    Raises:
        SpecError: there is no such run, or its renderer is not here.
        ContractError: the captions of such a shard are damaged or missing; nothing is put aside then.
    """
    plan = read_plan(root, name)
    stage, captions = plan.stages["images"], plan.stages["captions"]
    faulty = {address: faults for address in stage.shards() if (faults := _faults(address, plan))}
    for address in faulty:
        require_sealed(captions.shard(address.index))
    repaired = []
    if faulty:
        # Before anything is put aside: a model or device that is not here would leave a hole.
        require_renderer(plan.spec.images)
        require_scorers(plan.spec.images)
        write_facts(stage)
        _remake_selection(plan, emit)
        execution = plan.spec.execution
        threads = engine_threads(execution, stage.count)

        def tell(text: str) -> None:
            emit(Notice(plan.name, stage.name, text))

        watch = Watch(execution.silence, execution.replace_silent, tell)
        with EngineProcess(threads, plan.log_folder / "images-repair.log", watch) as engine:
            for address, faults in faulty.items():
                repaired.append(_remake(address, faults, plan, engine, emit))
    return {"checked": stage.count, "repaired": repaired}


def _remake_selection(plan: RunPlan, emit: Emit) -> None:
    """Make damaged and missing verdicts again. They follow from the captions, so they come back to the byte."""
    stage = plan.stages.get(SELECTION)
    if stage is None:
        return
    for table in stage.shards():
        if faults := _faults(table, plan):
            put_aside(table, _reason(table, plan, faults))
    write_facts(stage)
    captions, concepts, spec = plan.stages["captions"], plan.stages["concepts"].table, plan.spec.captions
    select_shards(stage, captions, concepts, spec, seed=plan.spec.seed, made_by=MadeBy(plan.name), emit=emit)


def _remake(
    address: ShardAddress, faults: list[str], plan: RunPlan, engine: EngineProcess, emit: Emit
) -> dict[str, Any]:
    before = _promised(address)
    aside = put_aside(address, _reason(address, plan, faults), lambda: _faults(address, plan))
    engine.call(render_here, _work(address, plan), emit=emit)
    identical = None if before is None else require_sealed(address) == before
    return {"shard": address.stem, "identical": identical, "put_aside": aside, "faults": faults}


def _work(address: ShardAddress, plan: RunPlan) -> Work[ImagesSpec, ImageInputs]:
    inputs = ImageInputs(plan.stages["captions"], plan.stages.get(SELECTION))
    return Work(plan.stages["images"], (address.index,), plan.spec.images, inputs, plan.spec.seed, MadeBy(plan.name))


def _faults(address: ShardAddress, plan: RunPlan) -> list[str]:
    try:
        if sealed(address) is None:
            return [f"{address.file('json')} is missing: the shard is not sealed"]
    except ContractError as error:
        return [fault_of(error)]
    return shard_faults(address, plan.spec)


def _reason(address: ShardAddress, plan: RunPlan, faults: list[str]) -> str:
    return json.dumps({"shard": address.stem, "run": plan.name, "unix_time": time.time(), "faults": faults}, indent=2)


def _promised(address: ShardAddress) -> ShardManifest | None:
    try:
        return sealed(address)
    except ContractError:
        return None
