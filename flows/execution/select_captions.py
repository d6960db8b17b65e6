"""A run whose captions are sealed enters; the tables of which are to be drawn leave, where its recipe compares them."""

import time

from data_specs.run import Run
from data_specs.selection import SELECTION
from flows.runs.folder import point, summarise
from flows.runs.resolve import rooms
from tasks.captions.select import select_shards
from tasks.events import Finished, Started, tell
from tasks.shards import missing


def select_captions(run: Run, by: str) -> None:
    """Makes the tables that are missing; `by` is noted beside them. An inner room: it has no engine and no flow of its own."""
    walked, began = rooms(run.spec, run.root), time.monotonic()
    if SELECTION not in walked:
        return
    room, captions = walked[SELECTION], walked["captions"].shards
    absent, per_shard = len(missing(room.shards)), run.spec.captions.per_shard
    if absent:
        room.remember()
        tell(Started(SELECTION, "captions", len(captions) * per_shard, (len(captions) - absent) * per_shard))
        table = walked["concepts"].table
        select_shards(table, captions, room.shards, run.spec.captions, seed=run.spec.seed, run=by)
        tell(Finished(SELECTION, time.monotonic() - began))
    point(run, summarise(room, absent), time.monotonic() - began)
