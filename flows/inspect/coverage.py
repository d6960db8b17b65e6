"""Count a run's captions that were planned, asked for, kept and left out, per concept and strategy; reads metadata alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_specs.caption import STRATEGIES
from data_specs.concept import Concept, from_row
from data_specs.errors import SpecError
from data_specs.selection import SELECTION
from data_specs.shard import ShardAddress
from data_specs.specs.run import RunSpec
from flows.runs.plan import read_plan
from tasks import storage
from tasks.captions.planning import Planner
from tasks.shards import read_rejects, read_rows, sealed_shards

Sort = tuple[str, str]
"""A concept's id, and a strategy."""
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("concept_id", "concept", "kind", "category")),
        ("weight", pa.float64()),
        ("strategy", pa.string()),
        *((name, pa.int64()) for name in ("planned", "asked", "kept", "left_out")),
    ]
)


def coverage(root: str, name: str) -> list[dict[str, Any]]:
    """One row per concept and strategy that was planned, in the concept table's order, over the sealed caption shards.

    left_out <= kept <= planned <= asked: every slot is asked for at least once, and again until it is kept; of those that
    are kept, some are not rendered since they repeat a caption of another shard, or to balance concepts.

    Raises SpecError if there is no such run, ContractError if it has no concepts yet.
    """
    plan = read_plan(root, name)
    concepts = [from_row(row) for row in read_rows(plan.stages["concepts"].table).to_pylist()]
    tables = sealed_shards(plan.stages[SELECTION]) if SELECTION in plan.stages else []
    selection = {address.index: address for address in tables}
    return covered(concepts, sealed_shards(plan.stages["captions"]), plan.spec, selection)


def covered(
    concepts: Sequence[Concept],
    captions: Sequence[ShardAddress],
    spec: RunSpec,
    selection: Mapping[int, ShardAddress] | None = None,
) -> list[dict[str, Any]]:
    """The same over some sealed caption shards; `selection` holds the sealed tables of verdicts, by index."""
    planner, counts = Planner(concepts, spec.captions, spec.seed), Counts()
    for address in captions:
        slots = [planner.plan(address.index, slot) for slot in range(spec.captions.per_shard)]
        counts.add(address, [(plan.concept.id, plan.strategy) for plan in slots], (selection or {}).get(address.index))
    return [
        {
            "concept_id": concept.id,
            "concept": concept.name,
            "kind": concept.kind,
            "category": concept.category,
            "weight": concept.weight,
            "strategy": strategy,
            "planned": counts.planned[concept.id, strategy],
            "asked": counts.asked[concept.id, strategy],
            "kept": counts.kept[concept.id, strategy],
            "left_out": counts.left_out[concept.id, strategy],
        }
        for concept in concepts
        for strategy in STRATEGIES
        if counts.planned[concept.id, strategy]
    ]


def write_parquet(rows: list[dict[str, Any]], file: Path) -> None:
    """Raises SpecError for a file of another form."""
    if file.suffix != ".parquet":
        raise SpecError(f"--output {file}: coverage is written as Parquet; name a file such as coverage.parquet")
    with storage.parts_for(str(file)) as part:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), part)
        storage.publish(part, str(file))


class Counts:
    """Captions of each concept and strategy."""

    def __init__(self) -> None:
        self.planned, self.asked, self.kept, self.left_out = (Counter[Sort]() for _ in range(4))

    def add(self, address: ShardAddress, slots: Sequence[Sort], selection: ShardAddress | None) -> None:
        """Add one caption shard; `slots` are the concept and strategy that each of its slots was planned with."""
        made = read_rows(address, ["slot"]).to_pydict()
        self.planned.update(slots)
        self.kept.update(slots[slot] for slot in made["slot"])
        self.asked.update(slots[slot] for slot in made["slot"])
        # `exhausted` is no request: it stands for a slot that ended without a caption.
        refused = (each for each in read_rejects(address) if each.reason != "exhausted")
        self.asked.update(slots[int(each.key.split("-")[2])] for each in refused)
        if selection:
            verdicts = read_rows(selection, ["verdict"])["verdict"].to_pylist()
            left_out = (slot for slot, verdict in zip(made["slot"], verdicts, strict=True) if verdict != "kept")
            self.left_out.update(slots[slot] for slot in left_out)
