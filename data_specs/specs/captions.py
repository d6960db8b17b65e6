"""Settings of the captions stage: which captions to write, and which to reject."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from data_specs.caption import Strategy
from data_specs.specs.base import LINEAGE_IF_SET, NOT_LINEAGE, shares_sum_to_one
from data_specs.specs.language_model import LanguageModelSpec


class CaptionsSpec(LanguageModelSpec):
    """How a language model writes captions about concepts (SynCLR section 3.1)."""

    at: ClassVar[str] = "captions"

    total: int = Field(
        default=512,
        ge=1,
        description="captions planned in total; raise it to grow a run",
        json_schema_extra=NOT_LINEAGE,
    )
    per_shard: int = Field(default=32, ge=1, le=100_000, description="captions planned per shard")
    strategies: dict[Strategy, float] = Field(
        default={"concept": 0.44, "relation": 0.11, "background": 0.45},
        description="share of each prompting strategy among objects; places and textures always use `concept`",
    )
    offer_other: bool = Field(
        default=True, description="name the second object of a relation, from the concept table, in the prompt"
    )
    backgrounds: Literal["own", "random_place"] = Field(
        default="own",
        description="an object's own backgrounds, or any place of the concept table (an ablation; SynCLR found it worse)",
        json_schema_extra=LINEAGE_IF_SET,
    )
    prompts: str = Field(
        default="synclr", description="name of a set in data_specs/prompts, or path of a folder in the same format"
    )
    packing: int = Field(
        default=16,
        ge=1,
        le=100_000,
        description="consecutive captions that share their in-context examples, sampled once per kind of prompt, so that an "
        "engine with prefix caching reads them once; 1: each has its own",
    )
    attempts: int = Field(
        default=8, ge=1, le=32, description="times to ask for a caption until one is accepted, first included"
    )
    min_words: int = Field(default=3, ge=1)
    max_words: int = Field(default=40, ge=1)
    refuse_leaked: bool = Field(
        default=True, description="reject captions that repeat the prompt: its arrow, header or examples"
    )
    refuse_chatter: bool = Field(
        default=True,
        description="reject answers that speak to whoever asked: `Sure! Here is a caption`, `I'm sorry, but`, `Let me know`",
    )
    require_concept: bool = Field(default=True, description="reject captions that do not name their concept")
    require_background: bool = Field(
        default=False, description="reject captions that do not name their background; SynCLR does not require it"
    )
    require_other: bool = Field(
        default=False, description="reject captions of a relation that do not name the second object in the prompt"
    )
    require_relation: bool = Field(
        default=False,
        description="reject captions of a relation that do not state it, or state it with the two objects swapped",
    )
    language: Literal["en"] | None = Field(
        default="en",
        description="reject captions in another alphabet or with function words of other languages; null: any language",
    )
    repeated_words: int | None = Field(
        default=3, ge=1, le=20, description="reject captions in which so many words in a row occur twice; null: never"
    )
    near_duplicates: float | None = Field(
        default=0.85,
        ge=0.3,
        le=1,
        description="reject a caption that shares this much of its word pairs with another of its shard; null: exact copies only",
    )
    unsafe_words: str | None = Field(
        default=None, description="text file of words and phrases, one per line, that no caption may contain"
    )
    across_shards: Literal["near", "exact"] | None = Field(
        default="near",
        description="do not render captions that repeat one of an earlier shard: `near` as near_duplicates measures it, "
        "`exact` copies only; null: render all",
        json_schema_extra=NOT_LINEAGE,
    )
    balance: int | None = Field(
        default=None,
        ge=1,
        description="MetaCLIP's t: render about this many captions of each frequent concept; null: render all",
        json_schema_extra=NOT_LINEAGE,
    )
    min_kept: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="stop the run if a shard keeps a smaller share of its planned captions",
        json_schema_extra=NOT_LINEAGE,
    )

    @model_validator(mode="after")
    def _shares(self) -> "CaptionsSpec":
        shares_sum_to_one("strategies", self.strategies)
        if self.min_words > self.max_words:
            raise ValueError(f"min_words {self.min_words} is more than max_words {self.max_words}")
        return self
