"""Select which captions the images stage renders: seals one table of verdicts for each caption shard.

A caption that repeats an earlier one, exactly or nearly, is refused; the earlier one, by shard, then by slot, is kept. The
table of shard i depends on caption shards 0 to i alone, so growth changes no verdict. Some shards are held in memory at
once; the keys of all shards before them are read one shard at a time, so memory is bounded however long the run is. A run
that is killed continues at the first missing table.
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
from data_specs.selection import CONTRACT, CaptionVerdict, Verdict
from data_specs.shard import MadeBy, ShardAddress
from data_specs.specs.captions import CaptionsSpec
from data_specs.stage import Stage
from tasks import storage
from tasks.captions.balancing import NamedConcepts, counted, is_kept
from tasks.captions.near_duplicates import keys, repeats
from tasks.events import Advanced, Emit, Notice
from tasks.shards import make_shard, missing, read_rows

AT_ONCE = 200_000
"""Captions held in memory, about 300 MB with their keys and words; each such batch reads the keys of all shards before it."""
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
class SelectionText:
    """The part of a caption that the selection reads."""

    id: CaptionId
    text: str
    concept_id: ConceptId


def select_shards(
    selection: Stage,
    captions: Stage,
    concepts: ShardAddress,
    spec: CaptionsSpec,
    *,
    seed: int,
    made_by: MadeBy,
    emit: Emit,
) -> None:
    """Make the missing tables of `selection`, in order. All shards of `captions` must be sealed.

    One process at a time does this; another one waits. `concepts` is the sealed concept table.
    """

    def select_missing() -> None:
        _select_missing(selection, captions, concepts, spec, seed, made_by, emit)

    with storage.claim(selection.folder, selection.name, wait=False) as mine:
        if mine:
            select_missing()
            return
    text = "captions are compared across shards by another process: waiting for it"
    emit(Notice(made_by.run, selection.name, text))
    with storage.claim(selection.folder, selection.name, wait=True):
        select_missing()


def _select_missing(
    selection: Stage,
    captions: Stage,
    table: ShardAddress,
    spec: CaptionsSpec,
    seed: int,
    made_by: MadeBy,
    emit: Emit,
) -> None:
    concepts = None
    if spec.balance is not None:
        concepts = NamedConcepts([from_row(row) for row in read_rows(table).to_pylist()])
    for batch in _batches(missing(selection), spec.per_shard):
        texts = {index: list(_read(captions.shard(index))) for index in batch}
        compared = _Comparison(texts, spec)
        counts = np.zeros(len(concepts) if concepts else 0, np.int64)
        for before in range(batch[0]):
            earlier = _EarlierShard(captions.shard(before), selection.shard(before))
            compared.with_earlier(earlier)
            counts = earlier.counted(counts)
        compared.with_each_other()
        for index in batch:
            verdicts = compared.verdicts(index)
            if concepts and spec.balance:
                verdicts, counts = _balanced(verdicts, texts[index], concepts, counts, spec.balance, seed)
            make_shard(selection.shard(index), CONTRACT, verdicts.copy, made_by=made_by, emit=emit, tar=False)
            emit(Advanced(made_by.run, selection.name, len(verdicts)))


def _balanced(
    verdicts: Sequence[CaptionVerdict],
    texts: Sequence[SelectionText],
    concepts: NamedConcepts,
    counts: NDArray[np.int64],
    most: int,
    seed: int,
) -> tuple[list[CaptionVerdict], NDArray[np.int64]]:
    """The verdicts on one shard after balancing, and the counts with its captions added. Repeats are not counted."""
    named = [
        concepts.of(each.text, each.concept_id) if decided.verdict == "kept" else ()
        for decided, each in zip(verdicts, texts, strict=True)
    ]
    counts = counted(named, counts)
    made = []
    for decided, names in zip(verdicts, named, strict=True):
        stays = not names or is_kept(decided.id, names, counts, most, seed)
        made.append(replace(decided, names=names, verdict=decided.verdict if stays else "balanced_away"))
    return made, counts


def _batches(absent: Sequence[int], per_shard: int) -> Iterator[Sequence[int]]:
    """Neighbouring missing shards; a sealed one between them ends a batch, since those after it are compared with it."""
    most = max(1, AT_ONCE // per_shard)
    for _, stretch in groupby(enumerate(absent), key=lambda entry: entry[1] - entry[0]):
        indices = [index for _, index in stretch]
        yield from (indices[start : start + most] for start in range(0, len(indices), most))


def _read(address: ShardAddress) -> Iterator[SelectionText]:
    columns = read_rows(address, ["id", "text", "concept_id"]).to_pydict()
    return map(SelectionText, columns["id"], columns["text"], columns["concept_id"])


class _EarlierShard:
    """A shard before the batch: the keys of its captions that were kept. Their texts are read when one of them is needed."""

    def __init__(self, captions: ShardAddress, selection: ShardAddress) -> None:
        self.shard = selection.index
        self._captions, self._selection = captions, selection
        self._table = read_rows(selection, ["keys", "names"])
        self._texts: list[tuple[CaptionId, str]] | None = None

    def keys(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All keys, and the row that each belongs to."""
        lists = self._table["keys"].combine_chunks()
        return lists.flatten().to_numpy(), lists.value_parent_indices().to_numpy()

    def counted(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """The counts of named concepts with this shard's added."""
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


class _Comparison:
    """The captions of a batch in order, and for each the earlier one that it repeats, once that is found."""

    def __init__(self, texts: Mapping[int, Sequence[SelectionText]], spec: CaptionsSpec) -> None:
        self._members = [each for index in texts for each in texts[index]]
        self._shards = [index for index in texts for _ in texts[index]]
        self._repeats: dict[int, Repeat] = {}
        self._similarity = spec.near_duplicates if spec.across_shards == "near" else None
        if spec.across_shards:
            self._keys = keys([each.text for each in self._members], self._similarity)
        else:
            self._keys = np.empty((len(self._members), 0), np.int64)
        order = np.argsort(self._keys, axis=None, kind="stable")
        self._sorted = self._keys.ravel()[order]
        self._owners = order // max(1, self._keys.shape[1])
        # Most keys of earlier shards occur nowhere here: this rules out seven in eight without a search.
        self._may_hold = np.zeros(1 << SLOT_BITS, bool)
        self._may_hold[self._sorted & SLOTS] = True

    def with_earlier(self, earlier: _EarlierShard) -> None:
        """Compare with what an earlier shard has kept; shards come in order, so the first repeat found is the earliest."""
        known, rows = earlier.keys()
        held = self._may_hold[known & SLOTS]
        known, rows = known[held], rows[held]
        first, end = (np.searchsorted(self._sorted, known, side) for side in ("left", "right"))
        for row, hits in groupby(np.flatnonzero(end > first), key=lambda hit: int(rows[hit])):
            sharing = {member for hit in hits for member in self._owners[first[hit] : end[hit]].tolist()}
            for member in sorted(sharing - self._repeats.keys()):
                self._compare(member, *earlier.caption(row), earlier.shard)

    def with_each_other(self) -> None:
        """Compare with what was kept of the batch itself; keys that only one caption has are skipped."""
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

    def verdicts(self, index: int) -> list[CaptionVerdict]:
        """The verdicts on one shard of the batch."""
        made = []
        for member in range(bisect_left(self._shards, index), bisect_right(self._shards, index)):
            of = self._repeats.get(member)
            if of:
                made.append(CaptionVerdict(self._members[member].id, of.verdict, of.of, of.shard))
            else:
                made.append(CaptionVerdict(self._members[member].id, "kept", keys=tuple(self._keys[member].tolist())))
        return made

    def _compare(self, member: int, of: CaptionId, text: str, shard: int) -> bool:
        verdict = repeats(self._members[member].text, text, self._similarity)
        if verdict:
            self._repeats[member] = Repeat(VERDICTS[verdict], of, shard)
        return verdict is not None
