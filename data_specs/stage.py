"""A stage of one run: where its shards lie, how many there are, and what its lineage is the digest of."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from data_specs.ids import Lineage
from data_specs.selection import SELECTION
from data_specs.shard import ShardAddress

STAGES = ("concepts", "captions", "images", "encoder", "embeddings", "scores")
"""In the order data passes through them."""
BACKGROUNDS = "backgrounds"
INNER_STAGES = {BACKGROUNDS: "concepts", SELECTION: "images"}
"""Stages that run inside another one, before its own shards: they have shards and a lineage, and no verb of their own."""
ALL_STAGES = (BACKGROUNDS, "concepts", "captions", SELECTION, "images", "encoder", "embeddings", "scores")

RECORDS = {
    "backgrounds": "backgrounds",
    "concepts": "concepts",
    "captions": "captions",
    "selection": "verdicts",
    "images": "image groups",
    "encoder": "checkpoints",
    "embeddings": "embeddings",
    "scores": "scores",
}
"""What a stage's records are called beside their number; an image group is a caption with its images."""


class Stage(BaseModel):
    """One lineage of one stage. Holds a count, not a list: a shard's address follows from its index.

    `facts` are what the lineage is the digest of (settings, seed, upstream lineage, models); they are kept beside the shards.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    lineage: Lineage
    folder: str = Field(description="`<root>/<name>/<lineage>`, a local path or any fsspec URL")
    count: int = Field(ge=0, description="shards that the run needs")
    facts: dict[str, Any]

    def shard(self, index: int) -> ShardAddress:
        return ShardAddress(folder=self.folder, stage=self.name, lineage=self.lineage, index=index)

    def shards(self) -> Iterator[ShardAddress]:
        return map(self.shard, range(self.count))

    def spread(self, most: int) -> list[ShardAddress]:
        """At most `most` shards, evenly over the stage."""
        taken = min(most, self.count)
        return [self.shard(number * self.count // taken) for number in range(taken)]

    @property
    def table(self) -> ShardAddress:
        """The only shard of a stage that makes one: the concept table, the encoder's checkpoint record."""
        return self.shard(0)


class SealedStage(Stage):
    """A stage whose shards are all sealed: the sums of their manifests, and how the last run that made some of them went.

    What a verb returns, what a run's `stages.json` holds, and what report, artifacts, OpenLineage and status read.
    """

    accepted: int
    rejected: dict[str, int] = Field(description="rejected samples by reason")
    made: int = Field(description="shards that the last run with something to make has made; the others were reused")
    seconds: float = Field(default=0.0, description="of that run, in this stage")
    unix_time: float = Field(default=0.0, description="when that run sealed the stage")
    engine_busy: float | None = Field(
        default=None, description="share of that time for which the engines worked; null where nobody measured it"
    )
