"""The plan of a run: its recipe and every stage, resolved once before any work, and carried to whatever works for the run."""

import json
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from data_specs.errors import ContractError, SpecError
from data_specs.json_text import parse_json
from data_specs.specs.run import RunSpec
from data_specs.stage import STAGES, SealedStage, Stage
from flows.runs.request import RUN_NAME
from flows.runs.slices import Slice
from tasks import storage
from tasks.events import Emit, Event

PLAN = "plan.json"
SEALED = "stages.json"


class RunPlan(BaseModel):
    """What a run makes and where. Nobody works out a lineage again: a list that is edited meanwhile changes nothing of it.

    `stages` holds the six stages and the inner ones that this recipe has. `source` is the request that it was resolved from.
    `listeners` get the events of the run; like `begun` (it was checked and stored by this process) and `slice` (which shards this
    process makes; None: all) they are not stored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=RUN_NAME, description="letters, digits, - and _")
    root: str = Field(description="local folder or fsspec URL under which every output lies")
    spec: RunSpec
    source: dict[str, Any] = Field(description="`recipe`, `overrides`: what this was resolved from")
    stages: dict[str, Stage]
    since: str = STAGES[0]
    until: str = STAGES[-1]
    listeners: tuple[Emit, ...] = Field(default=(), exclude=True, repr=False)
    begun: bool = Field(default=False, exclude=True, repr=False)
    slice: Slice | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _in_order(self) -> "RunPlan":
        if not {self.since, self.until} <= set(STAGES) or STAGES.index(self.since) > STAGES.index(self.until):
            raise ValueError(f"since {self.since!r}, until {self.until!r}: the order is {', '.join(STAGES)}")
        return self

    @property
    def requested(self) -> tuple[str, ...]:
        """The stages from `since` to `until`."""
        return STAGES[STAGES.index(self.since) : STAGES.index(self.until) + 1]

    @property
    def folder(self) -> str:
        return run_folder(self.root, self.name)

    @property
    def log_folder(self) -> Path:
        return run_log_folder(self.root, self.name)

    def own(self, indices: Sequence[int]) -> list[int]:
        """Those that this process makes."""
        return list(indices) if self.slice is None else self.slice.share(indices)

    def emit(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)


def run_folder(root: str, name: str) -> str:
    return f"{root.rstrip('/')}/runs/{name}"


def run_log_folder(root: str, name: str) -> Path:
    """Where engines write what they print: beside the run if the root is local, since logs grow line by line."""
    if storage.is_local(root):
        return storage.local_path(run_folder(root, name)) / "logs"
    return Path(tempfile.gettempdir()) / f"synclr-logs-{name}"


def write_plan(plan: RunPlan) -> None:
    storage.write_bytes(f"{plan.folder}/{PLAN}", plan.model_dump_json(indent=2).encode())


def run_names(root: str) -> list[str]:
    """The runs under a root, sorted; those that were planned at least."""
    names = storage.names(f"{root.rstrip('/')}/runs")
    return [name for name in names if PLAN in storage.names(run_folder(root, name))]


def read_plan(root: str, name: str) -> RunPlan:
    """The plan as it was last resolved, under `root` wherever that lies now. Raises SpecError if there is no such run."""
    text = storage.read_bytes(f"{run_folder(root, name)}/{PLAN}")
    if text is None:
        raise SpecError(f"there is no run {name!r} under {root!r}; runs here: {', '.join(run_names(root)) or 'none'}")
    try:
        plan = RunPlan.model_validate_json(text)
    except ValidationError as error:
        raise ContractError(f"{run_folder(root, name)}/{PLAN} was written by another version: run it again") from error
    stages = {each: stage.model_copy(update=_moved(root, stage)) for each, stage in plan.stages.items()}
    return plan.model_copy(update={"root": root, "stages": stages})


def read_sealed(plan: RunPlan) -> dict[str, SealedStage]:
    """What the run last sealed of each stage, of whatever lineage: compare with the plan's before use.

    An entry that cannot be read counts as none: it is summed up again from the manifests, and only its times are lost.
    """
    found = {}
    for name, entry in read_records(plan.root, plan.name).items():
        with suppress(ValidationError):
            stage = SealedStage.model_validate(entry)
            found[name] = stage.model_copy(update=_moved(plan.root, stage))
    return found


def read_records(root: str, name: str) -> dict[str, Any]:
    """The entries of a run's `stages.json`, not validated; empty where it is not there or is no JSON object."""
    with suppress(ValueError):
        records = parse_json(storage.read_bytes(f"{run_folder(root, name)}/{SEALED}") or b"{}")
        return records if isinstance(records, dict) else {}
    return {}


def sealed_stages(plan: RunPlan) -> dict[str, SealedStage]:
    """The stages that this very plan has sealed, in order, up to the first that it has not: what lies beyond is of another."""
    recorded, found = read_sealed(plan), dict[str, SealedStage]()
    for name in STAGES:
        stage = recorded.get(name)
        if stage is None or stage.lineage != plan.stages[name].lineage:
            break
        found[name] = stage
    return found


def record_sealed(plan: RunPlan, sealed: SealedStage) -> SealedStage:
    """Note that a stage of this run is sealed; times and rate of a run that made something outlive runs that made nothing."""
    with storage.claim(plan.folder, SEALED, wait=True):  # two processes may work for one run
        recorded = read_sealed(plan)
        before = recorded.get(sealed.name)
        if sealed.made == 0 and before is not None and before.lineage == sealed.lineage:
            kept = ("made", "seconds", "unix_time", "engine_busy")
            sealed = sealed.model_copy(update={field: getattr(before, field) for field in kept})
        entries = {name: stage.model_dump() for name, stage in (recorded | {sealed.name: sealed}).items()}
        storage.write_bytes(f"{plan.folder}/{SEALED}", json.dumps(entries, indent=2).encode())
    return sealed


def _moved(root: str, stage: Stage) -> dict[str, str]:
    """A root may be copied elsewhere and is still whole."""
    return {"folder": f"{root.rstrip('/')}/{stage.name}/{stage.lineage}"}
