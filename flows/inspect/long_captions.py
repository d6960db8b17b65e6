"""Image shards enter; how many of their captions were too long for the text encoder leaves. Reads metadata alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from data_specs.shard import ShardAddress
from tasks.shards import read_rows

MOST_SHARDS = 64
"""Read; of more shards, this many are taken, evenly."""


@dataclass(frozen=True, slots=True)
class LongCaptions:
    """Of `of` captions, `count` have more than the `tokens` that the text encoder reads; None if it knows no limit."""

    count: int
    of: int
    tokens: int | None
    whole: bool

    def __str__(self) -> str:
        looked_at = f"{self.of:,} captions" if self.whole else f"{self.of:,} captions looked at"
        return f"{self.count:,} of {looked_at} are longer than the {self.tokens} tokens that the text encoder reads"


def long_captions(shards: Sequence[ShardAddress]) -> LongCaptions:
    taken = min(MOST_SHARDS, len(shards))
    count = of = 0
    limits: set[int] = set()
    for number in range(taken):
        rows = read_rows(shards[number * len(shards) // taken], ["unseen_tokens", "rendering"])
        if "unseen_tokens" not in rows.column_names:
            continue  # sealed before tokens were counted
        count += sum(unseen > 0 for unseen in rows["unseen_tokens"].to_pylist())
        of += rows.num_rows
        limits |= {row["text_tokens"] for row in rows["rendering"].slice(0, 1).to_pylist() if row["text_tokens"]}
    return LongCaptions(count, of, max(limits, default=None), taken == len(shards))
