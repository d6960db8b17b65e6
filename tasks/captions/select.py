"""Select, of sealed caption shards, what is to be drawn: a sealed table a shard, by what it holds and the shards before it.

A caption that repeats an earlier one, exactly or nearly, is marked; the earlier one wins, by shard, then by place. Shard i
depends on caption shards 0 to i alone, so growth changes no verdict. Some shards are held in memory at once; all before
them pass by, one at a time, as sealed keys: memory is bounded however long the run. Killed, it goes on at the first
table that is missing.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from data_specs.concept import from_row
from data_specs.errors import ContractError
from data_specs.ids import CaptionId, ConceptId
from data_specs.run import CaptionsSpec
from data_specs.selection import CONTRACT, Choice, Verdict
from data_specs.shard import ShardAddress
from tasks import storage
from tasks.captions.balancing import NamedConcepts, counted, is_drawn
from tasks.captions.near_duplicates import keys, repeats
from tasks.events import Advanced, Said, tell
from tasks.shards import make_shard, missing, read_rows

AT_ONCE = 200_000
"""Captions held in memory, about 300 MB with their keys and words; each such bundle reads the keys of all shards before it."""
SLOT_BITS = 24
SLOTS = (1 << SLOT_BITS) - 1
VERDICTS: dict[str, Verdict] = {"duplicate": "duplicate_elsewhere", "near_duplicate": "near_duplicate_elsewhere"}


@dataclass(frozen=True, slots=True)
class Repeat:
    """The earlier caption that one repeats."""

    verdict: Verdict
    of: CaptionId
    shard: int


@dataclass(frozen=True, slots=True)
class Written:
    """What this pass reads of a caption."""

    id: CaptionId
    text: str
    concept_id: ConceptId


def select_shards(
    table: ShardAddress,
    captions: Sequence[ShardAddress],
    selection: Sequence[ShardAddress],
    spec: CaptionsSpec,
    *,
    seed: int,
    run: str = "",
) -> None:
    """Make what is missing of `selection`, in order; all `captions` are sealed. One process at a time does this."""
    folder, room = selection[0].folder, selection[0].room
    with storage.claim(folder, room, wait=False) as mine:
        if mine:
            _select_missing(table, captions, selection, spec, seed, run)
            return
    tell(Said("captions are compared across shards by another process: waiting for it"))
    with storage.claim(folder, room, wait=True):
        _select_missing(table, captions, selection, spec, seed, run)


def _select_missing(
    table: ShardAddress,
    captions: Sequence[ShardAddress],
    selection: Sequence[ShardAddress],
    spec: CaptionsSpec,
    seed: int,
    run: str,
) -> None:
    concepts = None
    if spec.balance is not None:
        concepts = NamedConcepts([from_row(row) for row in read_rows(table).to_pylist()])
    for bundle in _bundles([address.index for address in missing(selection)], spec.per_shard):
        written = {index: list(_read(captions[index])) for index in bundle}
        crowd = _Crowd(written, spec)
        counts = np.zeros(len(concepts) if concepts else 0, np.int64)
        for before in range(bundle[0]):
            passing = _Passing(captions[before], selection[before])
            crowd.meet(passing)
            counts = passing.counted(counts)
        crowd.meet_each_other()
        for index in bundle:
            choices = crowd.choices(index)
            if concepts and spec.balance:
                choices, counts = _balanced(choices, written[index], concepts, counts, spec.balance, seed)
            make_shard(selection[index], CONTRACT, choices.copy, run=run, tar=False)
            tell(Advanced(selection[index].room, len(choices)))


def _balanced(
    choices: Sequence[Choice],
    written: Sequence[Written],
    concepts: NamedConcepts,
    counts: NDArray[np.int64],
    most: int,
    seed: int,
) -> tuple[list[Choice], NDArray[np.int64]]:
    """The choices of one shard after the draw, and the counts with its captions in them. Repeats are not counted."""
    named = [
        concepts.of(each.text, each.concept_id) if choice.verdict == "kept" else ()
        for choice, each in zip(choices, written, strict=True)
    ]
    counts = counted(named, counts)
    made = []
    for choice, names in zip(choices, named, strict=True):
        stays = not names or is_drawn(choice.id, names, counts, most, seed)
        made.append(replace(choice, names=names, verdict=choice.verdict if stays else "balanced_away"))
    return made, counts


def _bundles(absent: Sequence[int], per_shard: int) -> Iterator[Sequence[int]]:
    """Neighbouring shards; a gap ends a bundle, since what lies after it must know what is in it."""
    most = max(1, AT_ONCE // per_shard)
    for _, stretch in groupby(enumerate(absent), key=lambda entry: entry[1] - entry[0]):
        indices = [index for _, index in stretch]
        yield from (indices[start : start + most] for start in range(0, len(indices), most))


def _read(address: ShardAddress) -> Iterator[Written]:
    columns = read_rows(address, ["id", "text", "concept_id"]).to_pydict()
    return map(Written, columns["id"], columns["text"], columns["concept_id"])


class _Passing:
    """An earlier shard: what is left of its captions, by key; their texts are read if one of them is asked for."""

    def __init__(self, captions: ShardAddress, selection: ShardAddress) -> None:
        self.shard = selection.index
        self._captions, self._selection = captions, selection
        self._table = read_rows(selection, ["keys", "names"])
        self._texts: list[tuple[CaptionId, str]] | None = None

    def keys(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All of them, and the row that each is of."""
        lists = self._table["keys"].combine_chunks()
        return lists.flatten().to_numpy(), lists.value_parent_indices().to_numpy()

    def counted(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """The counts of named concepts with this shard's in them."""
        found = self._table["names"].combine_chunks().flatten().to_numpy()
        return counts + np.bincount(found, minlength=len(counts))

    def caption(self, row: int) -> tuple[CaptionId, str]:
        if self._texts is None:
            columns = read_rows(self._captions, ["id", "text"]).to_pydict()
            if columns["id"] != read_rows(self._selection, ["id"])["id"].to_pylist():
                raise ContractError(
                    f"{self._captions.stem} is not what {self._captions.folder} held when it was compared"
                )
            self._texts = list(zip(columns["id"], columns["text"], strict=True))
        return self._texts[row]


class _Crowd:
    """The captions of a bundle in order, and of each the earlier one that it repeats, once that is known."""

    def __init__(self, written: Mapping[int, Sequence[Written]], spec: CaptionsSpec) -> None:
        self._members = [each for index in written for each in written[index]]
        self._shards = [index for index in written for _ in written[index]]
        self._repeats: dict[int, Repeat] = {}
        self._similarity = spec.near_duplicates if spec.across_shards == "near" else None
        if spec.across_shards:
            self._keys = keys([each.text for each in self._members], self._similarity)
        else:
            self._keys = np.empty((len(self._members), 0), np.int64)
        order = np.argsort(self._keys, axis=None, kind="stable")
        self._sorted = self._keys.ravel()[order]
        self._owners = order // max(1, self._keys.shape[1])
        # Most keys that pass by are nobody's here: this says so of seven in eight without a search.
        self._may_hold = np.zeros(1 << SLOT_BITS, bool)
        self._may_hold[self._sorted & SLOTS] = True

    def meet(self, earlier: _Passing) -> None:
        """Compare with what an earlier shard has kept; shards come in order, so the first one found stands."""
        known, rows = earlier.keys()
        held = self._may_hold[known & SLOTS]
        known, rows = known[held], rows[held]
        first, end = (np.searchsorted(self._sorted, known, side) for side in ("left", "right"))
        for row, hits in groupby(np.flatnonzero(end > first), key=lambda hit: int(rows[hit])):
            sharing = {member for hit in hits for member in self._owners[first[hit] : end[hit]].tolist()}
            for member in sorted(sharing - self._repeats.keys()):
                self._compare(member, *earlier.caption(row), earlier.shard)

    def meet_each_other(self) -> None:
        """Compare with what was kept of the bundle itself; keys that only one caption has are passed over."""
        first, last = (np.searchsorted(self._sorted, self._keys, side) for side in ("left", "right"))
        kept: dict[int, list[int]] = defaultdict(list)
        for member in range(len(self._members)):
            if member in self._repeats:
                continue
            shared = first[member][last[member] - first[member] > 1].tolist()
            for other in sorted({other for key in shared for other in kept[key]}):
                if self._compare(member, self._members[other].id, self._members[other].text, self._shards[other]):
                    break
            else:
                for key in shared:
                    kept[key].append(member)

    def choices(self, index: int) -> list[Choice]:
        made = []
        for member in range(bisect_left(self._shards, index), bisect_right(self._shards, index)):
            of = self._repeats.get(member)
            if of:
                made.append(Choice(self._members[member].id, of.verdict, of.of, of.shard))
            else:
                made.append(Choice(self._members[member].id, "kept", keys=tuple(self._keys[member].tolist())))
        return made

    def _compare(self, member: int, of: CaptionId, text: str, shard: int) -> bool:
        verdict = repeats(self._members[member].text, text, self._similarity)
        if verdict:
            self._repeats[member] = Repeat(VERDICTS[verdict], of, shard)
        return verdict is not None
