"""Settings of the images stage: the diffusion model, and how images are scored and checked."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from data_specs.image_group import Format
from data_specs.specs.base import EMPTY_IS_NONE, LINEAGE_IF_SET, NOT_LINEAGE, ModelSpec


class ScorerSpec(ModelSpec):
    """How to score the fit of image and caption: the cosine of their embeddings in a joint space, from -1 to 1."""

    engine: Literal["clip", "encoder", "fake"] = Field(
        default="clip", description="a Hugging Face CLIP, or an encoder trained here with a text tower (objective clip)"
    )
    model: str = Field(
        description="clip: a local folder, or a hub id with `revision`; encoder: `<root>/encoder/<lineage>/exported-<digest>`"
    )
    min_score: float | None = Field(
        default=None, ge=-1, le=1, description="images below it are rendered again, like faulty ones; null: no limit"
    )


class SafetySpec(ModelSpec):
    """How to flag unsafe images, and what to do with them. They are never blackened."""

    policy: Literal["keep", "redraw", "drop"] = Field(
        description="keep: flag it in its record; redraw: render another, like a faulty one; drop: reject its caption"
    )
    model: str | None = Field(
        default=None,
        description="Stable Diffusion safety checker: a local folder, or a hub id with `revision`; null: the pipeline's",
    )
    threshold: float = Field(
        default=0.0,
        ge=-1,
        le=1,
        description="flag images above it. An image's value is its largest cosine with one of the checker's concepts, minus "
        "that concept's own threshold; a lower setting flags more",
    )


class LoraSpec(ModelSpec):
    """Low-rank weights that are added to the model's own before it renders (Hu et al., 2021, arXiv:2106.09685)."""

    model: str = Field(description="a local folder, or a hub id with `revision`")
    file: str = Field(
        default="pytorch_lora_weights.safetensors",
        pattern=r"\.safetensors$",
        description="name of the file with the weights",
    )
    scale: float = Field(
        default=1.0, ge=-4, le=4, description="factor by which the weights are multiplied before they are added"
    )


class ImagesSpec(ModelSpec):
    """How a diffusion model renders captions (SynCLR section 3.2: 4 images per caption, guidance scale 2.5)."""

    engine: Literal["diffusers", "fake"] = "diffusers"
    model: str = Field(
        default="tiny", description="`tiny` (part of this repository), a local folder, or a hub id with `revision`"
    )
    loras: tuple[LoraSpec, ...] = Field(
        default=(), description="LoRA weights to add to the model, in this order", json_schema_extra=LINEAGE_IF_SET
    )
    dtype: Literal["bfloat16", "float16", "float32"] = "float32"
    per_caption: int = Field(default=4, ge=2, le=64, description="images per caption, which are each other's positives")
    guidance_scale: float = Field(
        default=2.5,
        ge=0,
        le=30,
        description="classifier-free guidance (CFG); 1 or less: none, which Turbo models need. A model distilled to take "
        "guidance as an input (FLUX dev, LCM) gets this number as it is",
    )
    negative_prompt: str = Field(
        default="", description="what CFG steers away from; empty: the model's own empty prompt"
    )
    scheduler: str | None = Field(
        default="DPMSolverMultistepScheduler",
        description="class name of a diffusers scheduler; null: the model's own",
    )
    scheduler_options: dict[str, bool | int | float | str] = Field(
        default={}, description="overrides of the scheduler's config, and `eta` if it takes one"
    )
    steps: int = Field(default=12, ge=1, le=1000, description="denoising steps")
    text_tokens: int | None = Field(
        default=None,
        ge=8,
        le=4096,
        description="tokens that a T5 or other large text encoder reads; null: the pipeline's default. CLIP always reads 77",
        json_schema_extra=LINEAGE_IF_SET,
    )
    size: int | None = Field(default=None, ge=8, description="pixels per side to render; null: the model's default")
    save_size: int | None = Field(
        default=None,
        ge=8,
        description="pixels per side to store, resized with antialiasing; never enlarges; null: as rendered",
    )
    format: Format = "jpg"
    quality: int = Field(default=95, ge=1, le=100, description="of jpg and webp")
    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="images per call of the model; null: on a GPU as many as fit its memory, found by rendering a few",
        json_schema_extra=LINEAGE_IF_SET,
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|(cuda|xpu)(:\d{1,3})?)$",
        description="auto (a GPU if there is one), cpu, cuda, cuda:1, xpu or mps",
        json_schema_extra=NOT_LINEAGE,
    )
    offload: bool = Field(
        default=False,
        description="keep each part of the pipeline on the GPU only while it runs: less memory, slower",
        json_schema_extra=NOT_LINEAGE,
    )
    attention: str | None = Field(
        default=None,
        description="U-Nets: native, sliced or xformers; transformers: an attention backend of diffusers, such as flash or sage",
        json_schema_extra=LINEAGE_IF_SET,
    )
    compile: bool = Field(
        default=False,
        description="torch.compile the U-Net or transformer: minutes before the first image, faster after",
        json_schema_extra=LINEAGE_IF_SET,
    )
    channels_last: bool = Field(
        default=False, description="memory layout of a U-Net; faster on GPUs", json_schema_extra=LINEAGE_IF_SET
    )
    vae_slicing: bool = Field(
        default=False, description="decode one image at a time: less memory", json_schema_extra=LINEAGE_IF_SET
    )
    vae_tiling: bool = Field(
        default=False,
        description="decode a large image in tiles, blended where they overlap: less memory",
        json_schema_extra=LINEAGE_IF_SET,
    )
    attempts: int = Field(
        default=3, ge=1, le=16, description="times to render an image until it is not faulty, first included"
    )
    min_kept: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="stop the run if a smaller share of a shard's captions get all their images",
        json_schema_extra=NOT_LINEAGE,
    )
    scorer: Annotated[ScorerSpec | None, EMPTY_IS_NONE] = Field(
        default=None,
        description="how to score images against their captions; needs a `model`; null: no scores",
    )
    candidates: int | None = Field(
        default=None,
        ge=2,
        le=512,
        description="render so many per caption and keep the best per_caption by score, as DALL-E did; null: no choice",
    )
    safety: Annotated[SafetySpec | None, EMPTY_IS_NONE] = Field(
        default=None, description="how to flag unsafe images; needs a `policy`; null: no check"
    )

    @property
    def drawn_per_caption(self) -> int:
        """Images to render per caption, before the best are chosen."""
        return self.candidates or self.per_caption

    @model_validator(mode="after")
    def _ranked(self) -> "ImagesSpec":
        if self.candidates is None:
            return self
        if self.candidates < self.per_caption:
            raise ValueError(f"candidates {self.candidates} are fewer than per_caption {self.per_caption}")
        if self.scorer is None:
            raise ValueError(
                f"candidates {self.candidates} are chosen by score: name a scorer, or set candidates to null"
            )
        return self

    @model_validator(mode="after")
    def _guided(self) -> "ImagesSpec":
        if self.negative_prompt and self.guidance_scale <= 1:
            raise ValueError(
                f"negative_prompt is read by classifier-free guidance alone: leave it empty, or raise guidance_scale "
                f"({self.guidance_scale:g}) above 1"
            )
        return self
