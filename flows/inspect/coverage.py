"""A run's name enters; what each concept was planned, asked for and kept, strategy by strategy, leaves. Reads metadata alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_specs.caption import STRATEGIES
from data_specs.concept import Concept, from_row
from data_specs.errors import SpecError
from data_specs.run import RunSpec
from data_specs.selection import SELECTION
from data_specs.shard import ShardAddress
from flows.runs.folder import read_recipe
from flows.runs.resolve import rooms
from tasks import storage
from tasks.captions.planning import Planner
from tasks.shards import missing, read_rejects, read_rows

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
    """One row a concept and strategy that was planned, in the concept table's order, over the sealed shards.

    left_out <= kept <= planned <= asked: every slot is asked for at least once, and again until it is kept; of those that
    are kept, some are left undrawn since they repeat a caption of another shard, or to balance concepts.

    Raises SpecError if there is no such run, ContractError if it has no concepts yet.
    """
    run, _ = read_recipe(root, name)
    here = rooms(run.spec, root)
    concepts = [from_row(row) for row in read_rows(here["concepts"].table).to_pylist()]
    absent = set(missing(here["captions"].shards))
    chosen = here[SELECTION].shards if SELECTION in here else ()
    unchosen = set(missing(chosen))
    selection = {address.index: address for address in chosen if address not in unchosen}
    captions = [address for address in here["captions"].shards if address not in absent]
    return covered(concepts, captions, run.spec, selection)


def covered(
    concepts: Sequence[Concept],
    captions: Sequence[ShardAddress],
    spec: RunSpec,
    selection: Mapping[int, ShardAddress] | None = None,
) -> list[dict[str, Any]]:
    """The same over some sealed shards; `selection` by index, where it is sealed."""
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
    """Of each concept and strategy."""

    def __init__(self) -> None:
        self.planned, self.asked, self.kept, self.left_out = (Counter[Sort]() for _ in range(4))

    def add(self, address: ShardAddress, slots: Sequence[Sort], selection: ShardAddress | None) -> None:
        """One shard of captions; `slots` are its plans."""
        made = read_rows(address, ["slot"]).to_pydict()
        self.planned.update(slots)
        self.kept.update(slots[slot] for slot in made["slot"])
        self.asked.update(slots[slot] for slot in made["slot"])
        # `exhausted` is no ask: it stands for a slot that ended without a caption.
        refused = (each for each in read_rejects(address) if each.reason != "exhausted")
        self.asked.update(slots[int(each.key.split("-")[2])] for each in refused)
        if selection:
            verdicts = read_rows(selection, ["verdict"])["verdict"].to_pylist()
            left_out = (slot for slot, verdict in zip(made["slot"], verdicts, strict=True) if verdict != "kept")
            self.left_out.update(slots[slot] for slot in left_out)
