"""Count the captions that were too long for the text encoder of the diffusion model, from the metadata of image shards."""

from dataclasses import dataclass

from data_specs.stage import Stage
from tasks.shards import read_rows, sealed

MOST_SHARDS = 64
"""Read; of more shards, this many are taken, evenly."""


@dataclass(frozen=True, slots=True)
class LongCaptions:
    """Of `of` captions, `count` have more than the `tokens` that the text encoder reads; None if it knows no limit.

    `whole` says whether every shard was read.
    """

    count: int
    of: int
    tokens: int | None
    whole: bool

    def __str__(self) -> str:
        read = f"{self.of:,} captions" if self.whole else f"{self.of:,} captions looked at"
        return f"{self.count:,} of {read} are longer than the {self.tokens} tokens that the text encoder reads"


def long_captions(stage: Stage) -> LongCaptions:
    """Of those shards of the images stage that are sealed: another slice may still make the rest."""
    count = of = 0
    limits: set[int] = set()
    for address in filter(sealed, stage.spread(MOST_SHARDS)):
        rows = read_rows(address, ["unseen_tokens", "rendering"])
        if "unseen_tokens" not in rows.column_names:
            continue  # sealed before tokens were counted
        count += sum(tokens > 0 for tokens in rows["unseen_tokens"].to_pylist())
        of += rows.num_rows
        limits |= {row["text_tokens"] for row in rows["rendering"].slice(0, 1).to_pylist() if row["text_tokens"]}
    return LongCaptions(count, of, max(limits, default=None), stage.count <= MOST_SHARDS)
