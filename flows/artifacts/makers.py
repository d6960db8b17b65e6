"""Read who made the shards of a stage, when, and in how many seconds of work."""

from dataclasses import dataclass
from typing import Any

from data_specs.stage import Stage
from flows.runs.lineages import made_by
from tasks import storage

MOST = 1000
"""Records read to learn who made a stage; of more shards, this many are taken, evenly."""
LOST: dict[str, Any] = {"run": "", "flow_run": None, "unix_time": 0.0, "seconds": 0.0}


@dataclass(frozen=True, slots=True)
class Maker:
    """One run, in one flow run if a server knew it: how many shards it made, from when to when (Unix time)."""

    run: str
    flow_run: str | None
    shards: int
    first: float
    last: float
    seconds: float


def makers(stage: Stage) -> list[Maker]:
    """The latest first. A shard whose record was lost counts for a run without a name."""
    grouped: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
    for text in storage.read_all([address.file("made.json") for address in stage.spread(MOST)]):
        record = made_by(text) or LOST
        grouped.setdefault((record["run"], record.get("flow_run")), []).append(record)
    found = [
        Maker(
            run,
            flow_run,
            len(made),
            min(record["unix_time"] for record in made),
            max(record["unix_time"] for record in made),
            sum(record["seconds"] for record in made),
        )
        for (run, flow_run), made in grouped.items()
    ]
    return sorted(found, key=lambda maker: -maker.last)
