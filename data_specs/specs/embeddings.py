"""Settings of the embeddings stage: benchmarks, and the encoders that embed them."""

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from data_specs.specs.base import LINEAGE_IF_SET, Spec

Metric = Literal["top1", "mean_per_class", "map11"]
TinyWorldBenchmark = Literal["styles", "training_styles"]
PhotographBenchmark = Literal["photographs", "clothes"]
ShippedBenchmark = Literal[TinyWorldBenchmark, PhotographBenchmark]
SHIPPED: tuple[ShippedBenchmark, ...] = get_args(ShippedBenchmark)


class DataSet(Spec):
    """Settings common to all benchmarks of your own: images with classes, on this machine or at a URL."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="name of the benchmark in scores and reports")
    path: str = Field(description="folder, local or fsspec URL; a relative path counts from the current folder")
    metric: Metric = Field(
        default="top1",
        description="top1: accuracy; mean_per_class: mean of the accuracies of the classes; map11: 11-point mAP, as in VOC 2007",
    )
    size: int | None = Field(
        default=None,
        ge=8,
        description="pixels per side: the shorter side is resized (bicubic), then the centre is cropped; null: "
        "encoder.image_size",
    )
    resize: int | None = Field(
        default=None,
        ge=8,
        description="pixels of the shorter side before the centre crop: 256 for ImageNet's linear probe; null: size",
    )

    @model_validator(mode="after")
    def _cut_out_of_it(self) -> Self:
        if self.resize is not None and self.size is not None and self.resize < self.size:
            raise ValueError(f"resize {self.resize} is less than size {self.size}, which is cut out of it")
        return self

    def sized(self, size: int) -> Self:
        """With this size, where it has none of its own. Raises ValueError where `resize` is less."""
        if self.size is not None:
            return self
        if self.resize is not None and self.resize < size:
            raise ValueError(
                f"embeddings.data_sets: {self.name}: resize {self.resize} is less than encoder.image_size {size}, which is cut "
                "out of it: raise it, or set size"
            )
        return self.model_copy(update={"size": size})


class SplitDataSet(DataSet):
    """A data set that comes in splits."""

    train: str = Field(default="train", description="name of the split to train on")
    validation: str | None = Field(
        default=None, description="name of the split to choose hyperparameters on; null: a random fifth of train"
    )
    test: str = Field(default="test", description="name of the split to test on")

    @model_validator(mode="after")
    def _apart(self) -> "SplitDataSet":
        if len({self.train, self.validation, self.test}) < 3:
            raise ValueError(
                f"train {self.train!r}, validation {self.validation!r} and test {self.test!r} must be three splits: what is "
                "tested must not be learned from; set validation to null, and a fifth of train serves"
            )
        return self


class ImageFolder(SplitDataSet):
    """Image files as `<path>/<split>/<class>/<image>`."""

    use: Literal["image_folder"] = "image_folder"


class HuggingFaceImages(SplitDataSet):
    """A data set saved by `save_to_disk`, or Parquet files with the images inside, as on the Hugging Face hub."""

    use: Literal["huggingface"] = "huggingface"
    image_column: str = "image"
    label_column: str = Field(default="label", description="column of an image's class, or of the list of its classes")


class ImageShards(DataSet):
    """The images stage of any run, `<root>/images/<lineage>`; the images of a fifth of its captions are the test split."""

    use: Literal["image_shards"] = "image_shards"
    label: Literal["concept", "category"] = "concept"


OwnBenchmark = Annotated[ImageFolder | HuggingFaceImages | ImageShards, Field(discriminator="use")]


class EmbeddingsSpec(Spec):
    """Which encoders embed which benchmarks: the trained encoder, and the baselines to compare with."""

    benchmarks: tuple[ShippedBenchmark, ...] = SHIPPED
    copies: int = Field(default=8, ge=1, description="images of the Tiny World per concept and style")
    seeds: tuple[int, ...] = Field(
        default=(0,),
        min_length=1,
        description="the benchmarks are drawn once per seed; photographs are cut into fifths",
    )
    data_sets: tuple[OwnBenchmark, ...] = Field(default=(), description="benchmarks of your own, besides those")
    pooling: Literal["cls", "mean", "both"] = Field(
        default="both", description="class token (paper), mean of the patch tokens, or both concatenated"
    )
    blocks: int = Field(
        default=1,
        ge=1,
        description="concatenate features of so many last blocks, at most all: 1 (paper), 4 (DINO's linear probes)",
        json_schema_extra=LINEAGE_IF_SET,
    )
    random_inits: int = Field(default=3, ge=0, description="randomly initialised encoders to compare with")
    hog: bool = Field(default=True, description="compare also with HOG and a colour grid")
    templates: str = Field(
        default="tiny_world",
        description="sentences about a class for zero-shot classification with a text tower: `tiny_world`, `clip` or a file",
    )

    @model_validator(mode="after")
    def _named_apart(self) -> "EmbeddingsSpec":
        names = [*SHIPPED, "styles_categories", *(one.name for one in self.data_sets)]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two benchmarks are called {twice!r}: give each of data_sets a name of its own")
        if not self.benchmarks and not self.data_sets:
            raise ValueError("there is nothing to look at: name benchmarks or data_sets")
        return self
