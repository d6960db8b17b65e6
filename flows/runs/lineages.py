"""List what lies under a root: every lineage of a stage, which runs point at it, and where a key is kept."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from data_specs.ids import Lineage
from data_specs.json_text import parse_json
from data_specs.shard import ShardAddress
from data_specs.stage import ALL_STAGES, Stage
from flows.runs.plan import RunPlan, read_plan, read_records, run_names
from tasks import storage
from tasks.shards import read_rows, sealed, sealed_shards


@dataclass(frozen=True, slots=True)
class RowMatch:
    """A metadata row, and where it stands."""

    stage: Stage
    address: ShardAddress
    row: dict[str, Any]


def stages_under(root: str, name: str, run: str | None = None) -> list[Stage]:
    """The lineages of a stage under a root: those of the newest run first, those of no run last. `run`: only that run's.

    Each counts the shards up to the last one that is sealed. Raises SpecError for a run that is not there.
    """
    if run is not None:
        read_plan(root, run)  # refuses a run that is not there
    recorded = _recorded(root)
    found = []
    for lineage in storage.names(f"{root.rstrip('/')}/{name}"):
        stage = stage_at(root, name, lineage)
        if stage and (run is None or run in _pointing(recorded, stage)):
            found.append(stage)
    newest = list(recorded)
    rank = {stage.lineage: min(map(newest.index, _pointing(recorded, stage)), default=len(newest)) for stage in found}
    return sorted(found, key=lambda stage: rank[stage.lineage])


def stage_at(root: str, name: str, lineage: str) -> Stage | None:
    """One lineage as it stands on disk; None where it is not there, or where what it is the digest of cannot be read."""
    folder = f"{root.rstrip('/')}/{name}/{lineage}"
    facts = None
    with suppress(ValueError):
        facts = parse_json(storage.read_bytes(f"{folder}/lineage.json") or b"null")
    if not isinstance(facts, dict):
        return None
    pattern = re.compile(rf"{name}-(\d+)\.json")
    indices = [int(match[1]) for entry in storage.names(folder) if (match := pattern.fullmatch(entry))]
    count = max(indices, default=-1) + 1
    return Stage(name=name, lineage=Lineage(lineage), folder=folder, count=count, facts=facts)


def runs_pointing_at(root: str, stage: Stage) -> list[str]:
    """The runs whose last result this lineage is, newest first."""
    return _pointing(_recorded(root), stage)


def also_of(plan: RunPlan, address: ShardAddress) -> list[str]:
    """The other runs whose last result a shard of a run is part of, newest first."""
    stage = plan.stages.get(address.stage)
    if stage is None or stage.folder != address.folder:  # a benchmark's
        return []
    return [run for run in runs_pointing_at(plan.root, stage) if run != plan.name]


def find_rows(stages: Sequence[Stage], column: str, value: str, shard: int | None = None) -> Iterator[RowMatch]:
    """Rows whose `column` is `value`, at most one a lineage, read from the Parquet beside the shards: no tar is opened.

    `shard`: only in the shard of this index, where that is known.
    """
    for stage in stages:
        yield from _first(stage, column, value, shard)


def _first(stage: Stage, column: str, value: str, shard: int | None) -> Iterator[RowMatch]:
    known = sealed_shards(stage) if shard is None else [each for each in [stage.shard(shard)] if sealed(each)]
    for address in known:
        table = read_rows(address)
        for row in _dicts(table.filter(pc.equal(table[column], value)).slice(0, 1)):
            yield RowMatch(stage, address, row)
            return


def rows(address: ShardAddress, most: int | None = None) -> list[dict[str, Any]]:
    """The metadata of a shard as JSON-able dicts; `most`: of the first so many alone."""
    return _dicts(read_rows(address).slice(0, most))


def _dicts(table: pa.Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table.to_pylist(maps_as_pydicts="strict")
    return found


def shard_location(address: ShardAddress) -> dict[str, Any]:
    """What a person needs to find a shard and know who made it: `made` is None where that was lost."""
    manifest = sealed(address)
    made = storage.read_bytes(address.file("made.json"))
    tar = manifest.files.get("tar", manifest.files["parquet"]) if manifest else None
    return {
        "stage": address.stage,
        "shard": address.stem,
        "lineage": address.lineage,
        "folder": address.folder,
        "sha256": tar.sha256 if tar else None,
        "made": made_by(made),
    }


def made_by(note: bytes | None) -> dict[str, Any] | None:
    """`{"run", "flow_run", "unix_time", "seconds"}` of a shard's `made.json`; None where it is lost, on which nothing depends."""
    with suppress(ValueError):
        found = parse_json(note or b"null")
        return found if isinstance(found, dict) and {"run", "unix_time", "seconds"} <= found.keys() else None
    return None


def stage_of(stem: str) -> tuple[str, int] | None:
    """`images-000003` -> (`images`, 3); None for what is no shard's stem."""
    match = re.fullmatch(rf"({'|'.join(ALL_STAGES)})-(\d{{6,}})", stem)
    return (match[1], int(match[2])) if match else None


def _recorded(root: str) -> dict[str, dict[str, Any]]:
    """Run -> what it sealed last of each stage, newest run first; not validated, since a root may hold many runs."""
    found = {run: read_records(root, run) for run in run_names(root)}

    def age(run: str) -> float:
        return max((float(stage.get("unix_time", 0)) for stage in found[run].values()), default=0.0)

    return {run: found[run] for run in sorted(found, key=lambda run: (-age(run), run))}


def _pointing(recorded: dict[str, dict[str, Any]], stage: Stage) -> list[str]:
    return [run for run, stages in recorded.items() if stages.get(stage.name, {}).get("lineage") == stage.lineage]
