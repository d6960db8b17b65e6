"""A whole recipe: one field per stage, in the order data passes through them."""

from pydantic import Field, model_validator

from data_specs.specs.base import NOT_LINEAGE, Spec
from data_specs.specs.captions import CaptionsSpec
from data_specs.specs.concepts import ConceptsSpec
from data_specs.specs.embeddings import EmbeddingsSpec
from data_specs.specs.encoder import EncoderSpec
from data_specs.specs.images import ImagesSpec
from data_specs.specs.scores import ScoresSpec

WORKSPACE = "workspace"
"""The root if neither a request nor SYNCLR_ROOT names one."""


class ExecutionSpec(Spec):
    """How many processes and threads do the work. Nothing here changes what is made."""

    workers: int = Field(default=1, ge=1, le=64, description="engine processes per stage on this host")
    threads: int | None = Field(
        default=None, ge=1, description="CPU threads per engine; null: cores / engines of the stage"
    )
    silence: float = Field(
        default=1800,
        ge=1,
        description="seconds without a sign of life from an engine at work, after which you are told",
    )
    replace_silent: bool = Field(
        default=False,
        description="end an engine that was silent for so long, and try what it had in hand with another, twice at most",
    )


class RunSpec(Spec):
    """A whole recipe with all defaults filled in: one field per stage, in the order data passes through them."""

    seed: int = Field(default=0, ge=0, description="every other seed follows from it")
    concepts: ConceptsSpec = ConceptsSpec()
    captions: CaptionsSpec = CaptionsSpec()
    images: ImagesSpec = ImagesSpec()
    encoder: EncoderSpec = EncoderSpec()
    embeddings: EmbeddingsSpec = EmbeddingsSpec()
    scores: ScoresSpec = ScoresSpec()
    execution: ExecutionSpec = Field(default=ExecutionSpec(), json_schema_extra=NOT_LINEAGE)

    @model_validator(mode="after")
    def _stages_agree(self) -> "RunSpec":
        if self.encoder.images_per_caption > self.images.per_caption:
            raise ValueError(
                f"encoder.images_per_caption {self.encoder.images_per_caption} is more than the {self.images.per_caption} "
                "that images.per_caption draws: raise that, or lower this"
            )
        return self

    @model_validator(mode="after")
    def _benchmarks_sized(self) -> "RunSpec":
        """Benchmarks of your own that name no size are as large as the images that the encoder is trained on."""
        sized = tuple(data_set.sized(self.encoder.image_size) for data_set in self.embeddings.data_sets)
        # The only setting whose default is another stage's: filled in here, so that every reader of a recipe finds it.
        object.__setattr__(self, "embeddings", self.embeddings.model_copy(update={"data_sets": sized}))
        return self
