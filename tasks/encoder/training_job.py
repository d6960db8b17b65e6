"""The description of one training, as every process that takes part is handed it and as `job.json` stores it."""

from pydantic import BaseModel, ConfigDict

from data_specs.shard import ShardAddress
from data_specs.specs.encoder import EncoderSpec
from data_specs.stage import Stage


class TrainingJob(BaseModel):
    """Train an encoder by `spec` on all shards of `images`; its files lie in the folder of `address`.

    `seed` is what everything random in the training follows from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: Stage
    address: ShardAddress
    spec: EncoderSpec
    seed: int

    @property
    def folder(self) -> str:
        return self.address.folder.rstrip("/")
