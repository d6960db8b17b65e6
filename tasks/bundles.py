"""Bundles: the shards of a stage that one engine makes in one task. One shape for all stages."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from data_specs.errors import SpecError
from data_specs.model_identity import ModelIdentity
from data_specs.shard import UNNAMED, MadeBy, ShardAddress
from data_specs.stage import Stage

Settings = TypeVar("Settings")
Inputs = TypeVar("Inputs")


@dataclass(frozen=True, slots=True)
class Work(Generic[Settings, Inputs]):
    """Which shards of `stage` to make, by which settings, and from what: `inputs` has a type of its own in each stage."""

    stage: Stage
    indices: tuple[int, ...]
    settings: Settings
    inputs: Inputs
    seed: int
    made_by: MadeBy = UNNAMED

    @property
    def shards(self) -> list[ShardAddress]:
        return [self.stage.shard(index) for index in self.indices]


def require_planned(stage: Stage, fact: str, found: ModelIdentity | None) -> None:
    """Raises SpecError if a model that was loaded is not the one that the stage's lineage is a digest of."""
    planned = stage.facts.get(fact)
    if planned is not None and found is not None and [found.id, found.revision] != list(planned):
        raise SpecError(
            f"{stage.name}: the {fact} {found.id} is {found.revision} here and was {planned[1]} when the run was planned: its "
            "files were edited, or this machine holds others; run it again, to plan with these"
        )
