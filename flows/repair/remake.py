"""A run's name enters; its image shards that are damaged or missing are put aside and made again, and what was done leaves."""

import json
import time
from typing import Any

from data_specs.errors import ContractError
from data_specs.run import Run
from data_specs.selection import SELECTION
from data_specs.shard import ShardAddress, ShardManifest
from flows.execution.select_captions import select_captions
from flows.inspect.verify import shard_faults
from flows.runs.folder import log_folder, read_recipe
from flows.runs.resolve import rooms
from models.renderer.build import require_renderer
from models.scorer.build import require_looking
from tasks.engines import EngineProcess, engine_threads
from tasks.images.render import Work, render_here
from tasks.shards import put_aside, require_sealed, sealed


def repair(root: str, name: str) -> dict[str, Any]:
    """Returns `{"checked", "repaired"}`: of each shard that was made again its `shard`, `faults`, the folder where the
    damaged files now lie (`put_aside`, None if there were none), and whether it is `identical` to what was sealed, which
    is None where the manifest was lost too.

    Raises ContractError if the captions of such a shard are damaged or missing: nothing is put aside then.
    """
    run, _ = read_recipe(root, name)
    walked = rooms(run.spec, root)
    room, captions = walked["images"], walked["captions"].shards
    faulty = {address: faults for address in room.shards if (faults := _faults(address, run))}
    for address in faulty:
        require_sealed(captions[address.index])
    repaired = []
    if faulty:
        # Before anything is put aside: a model or device that is not here would leave a hole.
        require_renderer(run.spec.images)
        require_looking(run.spec.images)
        room.remember()
        selections = walked[SELECTION].shards if SELECTION in walked else [None] * len(captions)
        for table in filter(None, selections):
            # Its verdicts follow from the captions: what is put aside comes back to the byte.
            if faults := _faults(table, run):
                put_aside(table, _reason(table, run, faults))
        select_captions(run, run.name)
        threads = engine_threads(run.spec.execution, len(room.shards))
        with EngineProcess(threads, log_folder(run) / "images-repair.log") as engine:
            for address, faults in faulty.items():
                work = Work(captions[address.index], selections[address.index], address)
                repaired.append(_make_again(work, faults, run, engine))
    return {"checked": len(room.shards), "repaired": repaired}


def _faults(address: ShardAddress, run: Run) -> list[str]:
    try:
        if sealed(address) is None:
            return [f"{address.file('json')} is missing: the shard is not sealed"]
    except ContractError as error:
        return [str(error)]
    return shard_faults(address, run)


def _make_again(work: Work, faults: list[str], run: Run, engine: EngineProcess) -> dict[str, Any]:
    address = work.address
    before = _promised(address)
    aside = put_aside(address, _reason(address, run, faults))
    engine.call(render_here, [work], run.spec.images, seed=run.spec.seed, run=run.name)
    identical = None if before is None else require_sealed(address) == before
    return {"shard": address.stem, "identical": identical, "put_aside": aside, "faults": faults}


def _reason(address: ShardAddress, run: Run, faults: list[str]) -> str:
    return json.dumps({"shard": address.stem, "run": run.name, "unix_time": time.time(), "faults": faults}, indent=2)


def _promised(address: ShardAddress) -> ShardManifest | None:
    try:
        return sealed(address)
    except ContractError:
        return None
