"""Settings of the concepts stage: where names come from, and how often each is sampled."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from data_specs.concept import Kind
from data_specs.specs.base import EMPTY_IS_NONE, LINEAGE_IF_SET, NOT_LINEAGE, Spec, shares_sum_to_one
from data_specs.specs.language_model import LanguageModelSpec

UNSORTED = "other"
"""The category of a name whose source gives none."""


class TinyWorldSource(Spec):
    """The 192 objects, 21 places and 12 textures that the tiny renderer can draw."""

    use: Literal["tiny_world"] = "tiny_world"


class ListedSource(Spec):
    """Settings common to all sources that read names from files. Backgrounds are one list per name, or one list for all names."""

    path: str = Field(description="local path or fsspec URL; a relative path counts from the current folder")
    kind: Kind = Field(default="object", description="what the names are")
    category: str = Field(
        default=UNSORTED, description="category of its names, to which `concepts.categories` may give a share"
    )
    split_at: str | None = Field(
        default=None,
        min_length=1,
        description="keep only the text before this: `, ` makes `tench, Tinca tinca` into `tench`",
    )
    append: str = Field(
        default="", max_length=40, description="text put after every name, as ` car` or ` aircraft` in SynCLR"
    )
    backgrounds: str | None = Field(
        default=None, description="JSON or YAML file of `{name: [backgrounds]}`; a name missing there has none"
    )
    backgrounds_key: str | None = Field(
        default=None, description="key in `backgrounds` of one list that all names share, such as `food`"
    )
    lower_backgrounds: bool = Field(
        default=False, description="convert backgrounds to lower case, as SynCLR does for ImageNet-1k only"
    )

    @model_validator(mode="after")
    def _key_of_a_file(self) -> "ListedSource":
        if self.backgrounds_key is not None and self.backgrounds is None:
            raise ValueError(
                f"backgrounds_key {self.backgrounds_key!r} needs backgrounds, the file that it is a key of"
            )
        return self


class FileSource(ListedSource):
    """A list of names: `.txt` (one per line), `.csv`, `.tsv`, `.json`, `.jsonl`, `.yaml` or `.parquet`, with any column names."""

    use: Literal["file"] = "file"
    column: str = Field(default="name", description="column of the names; plain lists of names need none")
    kind_column: str | None = Field(default=None, description="column of kinds: object, place or texture")
    category_column: str | None = Field(default=None, description="column of categories")
    backgrounds_column: str | None = Field(
        default=None, description="column of backgrounds: a list, or text separated by `|`"
    )
    within: str | None = Field(
        default=None, description="JSON, YAML: key of the list within the file, such as `imagenet` in `labels.json`"
    )
    keys_are_names: bool = Field(
        default=False, description="JSON, YAML: the file is `{name: [backgrounds]}` and its keys are the names"
    )

    @model_validator(mode="after")
    def _one_shape(self) -> "FileSource":
        if self.keys_are_names and (self.backgrounds_column or self.backgrounds):
            raise ValueError("keys_are_names takes backgrounds from the file itself; leave the other backgrounds out")
        return self


class HuggingFaceSource(ListedSource):
    """The class names of a data set: its `dataset_info.json`, `README.md` or Parquet file, or the folder that holds one."""

    use: Literal["huggingface"] = "huggingface"
    split_at: str | None = Field(
        default=", ",
        min_length=1,
        description="keep only the text before this: `, ` makes `tench, Tinca tinca` into `tench`",
    )
    feature: str | None = Field(default=None, description="name of the ClassLabel feature, if the data set has several")
    config: str | None = Field(
        default=None, description="name of the configuration, if class names differ between them"
    )


class WordNetSource(ListedSource):
    """The first word of each noun synset in WordNet's own `data.noun`, or the words of its `index.noun`."""

    use: Literal["wordnet"] = "wordnet"
    synsets: str | None = Field(
        default=None, description="text file of the synsets to use, one per line: n02084071, 02084071-n or dog.n.01"
    )
    lexicographer_files: tuple[str, ...] = Field(
        default=(), description="use only synsets of these lexicographer files, such as `noun.animal`; empty: all"
    )


Source = Annotated[TinyWorldSource | FileSource | HuggingFaceSource | WordNetSource, Field(discriminator="use")]


class BackgroundsSpec(LanguageModelSpec):
    """Which language model lists places where an object may be, and how many per object. SynCLR asked GPT-4 for 100."""

    at: ClassVar[str] = "concepts.backgrounds_by"

    model: str = Field(description="`smollm2-135m`, a local folder, or a hub id with `revision`")
    max_tokens: int = Field(default=96, ge=16, le=8192, description="of one answer, which is one line of text")
    per_concept: int = Field(default=10, ge=1, le=1000, description="backgrounds wanted for each object")
    for_all: bool = Field(
        default=False, description="also ask for objects whose sources give backgrounds; those come first"
    )
    shared_by_category: bool = Field(
        default=False, description="ask once per category, by its name, and share the list among its objects"
    )
    attempts: int = Field(
        default=8,
        ge=1,
        le=64,
        description="times to ask about an object until it has enough backgrounds, first included",
    )
    prompt: str = Field(
        default="backgrounds", description="name of a file in data_specs/prompts, or path of one in the same format"
    )
    per_shard: int = Field(default=64, ge=1, le=10_000, description="objects per shard, asked about in one batch")
    min_kept: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="stop the run if a shard gets a smaller share of the backgrounds requested",
        json_schema_extra=NOT_LINEAGE,
    )


class ConceptsSpec(Spec):
    """Which names, from which sources, and how often each is sampled: by kind, then category, then uniformly, as in SynCLR."""

    sources: tuple[Source, ...] = Field(default=(TinyWorldSource(),), min_length=1)
    kinds: dict[Kind, float] = Field(
        default={"object": 0.91, "place": 0.088, "texture": 0.002},
        description="share of captions per kind; kinds without concepts are left out and the rest rescaled",
    )
    categories: dict[str, float] = Field(
        default={}, description="share of each category among objects, summing to 1; empty: uniform over names"
    )
    backgrounds_by: Annotated[BackgroundsSpec | None, EMPTY_IS_NONE] = Field(
        default=None,
        description="language model that writes backgrounds for objects whose sources give none; needs a `model`; null: none",
        json_schema_extra=LINEAGE_IF_SET,
    )

    @model_validator(mode="after")
    def _shares(self) -> "ConceptsSpec":
        shares_sum_to_one("kinds", self.kinds)
        if self.categories:
            shares_sum_to_one("categories", self.categories)
        return self
