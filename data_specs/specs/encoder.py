"""Settings of the encoder stage: objective, architecture, augmentation and training."""

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from data_specs.specs.base import LINEAGE_IF_SET, NOT_LINEAGE, Spec

Decay = Annotated[float, Field(ge=0, lt=1)]
ALONE: dict[str, Any] = {"ema": False, "ibot_weight": 0.0, "local_crops": 0}
"""One encoder without a teacher, on global crops only."""
OBJECTIVES: dict[str, dict[str, Any]] = {
    "synclr": {},
    "stablerep": ALONE | {"temperature": 0.1},
    "stablerep_plus": ALONE | {"temperature": 0.1, "text_weight": 1.0},
    "simclr": ALONE | {"temperature": 0.1, "positives": "image", "views": 2},
    "supervised": ALONE | {"contrast_weight": 0.0, "concept_weight": 1.0},
    # CLIP's settings for a ViT-B (its appendix F): with those of a contrast between images it learned nothing here.
    "clip": ALONE
    | {"contrast_weight": 0.0, "text_weight": 1.0, "images_per_caption": 1, "captions_per_step": 128}
    | {"lr": 5e-4, "betas": (0.9, 0.98), "weight_decay": (0.2, 0.2)},
}
"""Settings of EncoderSpec that each objective changes; what a recipe sets itself wins. Equation 4 of SynCLR changes none."""


class EncoderSpec(Spec):
    """How the encoder is trained (SynCLR sections 3.3 and 3.4; the values of its Table 12 are in the `paper` recipe)."""

    objective: Literal["synclr", "stablerep", "stablerep_plus", "simclr", "supervised", "clip"] = Field(
        default="synclr", description="a preset of the loss terms and settings below, each of which can still be set"
    )
    contrast_weight: float = Field(
        default=1.0, ge=0, description="weight of the loss term: multi-positive contrast between images"
    )
    positives: Literal["caption", "concept", "image"] = Field(
        default="caption",
        description="crops are positives if they share a caption (SynCLR), a concept (supervised), an image (SimCLR)",
    )
    views: int = Field(default=1, ge=1, le=4, description="global crops per image and step")
    concept_weight: float = Field(
        default=0.0, ge=0, description="weight of the loss term: cross-entropy on the concept, as in a classifier"
    )
    text_weight: float = Field(
        default=0.0,
        ge=0,
        description="weight of the loss term: contrast of image and caption with a text tower, as in CLIP and StableRep+",
    )
    ema: bool = Field(default=True, description="keys come from an EMA teacher; false: from the encoder itself")
    repeat: int = Field(
        default=0, ge=0, description="another number trains again on the same images with other random numbers"
    )
    architecture: Literal["vit_tiny", "vit_small", "vit_base", "vit_large"] = "vit_tiny"
    patch_size: int = Field(default=16, ge=2, le=64, description="pixels per side of a ViT patch")
    stem: Literal["patch", "conv"] = Field(
        default="conv", description="how pixels become tokens; conv is better with few images"
    )
    precision: Literal["fp32", "bf16"] = Field(default="fp32", description="of the forward pass; losses are fp32")
    image_size: int = Field(default=64, ge=16, description="pixels per side of a global crop")
    local_size: int = Field(default=32, ge=8, description="pixels per side of a local crop")
    local_crops: int = Field(default=2, ge=0, le=16, description="local crops per image")
    global_scale: tuple[float, float] = Field(
        default=(0.32, 1.0), description="share of the image's area in a global crop, from and to"
    )
    local_scale: tuple[float, float] = Field(
        default=(0.08, 0.32), description="share of the image's area in a local crop, from and to"
    )
    local_blur_side: int = Field(
        default=224,
        ge=8,
        description="local crops are blurred as by 0.1 to 2 pixels of a crop with this side; 96 in the reference code",
        json_schema_extra=LINEAGE_IF_SET,
    )
    downsample_probability: float = Field(
        default=0.05, ge=0, le=1, description="of StableRep's downsample augmentation"
    )
    images_per_caption: int = Field(default=4, ge=1, description="images sampled per caption and step")
    captions_per_step: int = Field(default=32, ge=2, description="batch size, counted in captions")
    accumulate: int = Field(
        default=1,
        ge=1,
        description="batches whose gradients make one step; each is contrasted only within itself",
    )
    shuffle_shards: int = Field(
        default=64, ge=1, description="image shards open at a time, whose captions are shuffled together"
    )
    steps: int = Field(default=700, ge=1, description="optimizer steps")
    optimizer: Literal["adamw", "muon"] = Field(
        default="adamw",
        description="adamw (paper), or muon: orthogonalised momentum for matrices, AdamW for the rest, one rate for both",
        json_schema_extra=LINEAGE_IF_SET,
    )
    warmup_steps: int = Field(default=70, ge=0)
    lr: float = Field(default=1.5e-3, gt=0, description="peak learning rate, absolute")
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    weight_decay: tuple[NonNegativeFloat, NonNegativeFloat] = Field(
        default=(0.04, 0.2), description="first and last value of a cosine schedule"
    )
    clip_gradient: float | None = Field(default=3.0, gt=0, description="largest gradient norm; null: no clipping")
    drop_path: float = Field(default=0.0, ge=0, lt=1, description="rate of stochastic depth, in the student only")
    temperature: float = Field(default=0.08, gt=0, description="contrastive temperature (paper 0.08, code 0.1)")
    ema_momentum: float = Field(
        default=0.98, ge=0, le=1, description="start of a cosine schedule to 1; the paper's 0.994 is for 500,000 steps"
    )
    head_norm: Literal["ln", "bn"] = Field(
        default="bn",
        description="of the contrastive heads: bn as in MoCo v3 (paper), ln is the default of SynCLR's code",
    )
    head_hidden: int = Field(default=256, ge=8)
    head_out: int = Field(default=64, ge=8)
    ibot_weight: float = Field(
        default=1.0, ge=0, description="weight of the loss term: masked patches, as in iBOT; needs a teacher"
    )
    patch_head_hidden: int = Field(default=256, ge=8)
    patch_head_bottleneck: int = Field(default=64, ge=8)
    prototypes: int = Field(default=256, ge=2)
    mask_probability: float = Field(default=0.5, ge=0, le=1, description="share of global crops that are masked")
    mask_ratio: float = Field(default=0.5, gt=0, lt=1, description="share of a masked crop's tokens that are masked")
    teacher_temperature: tuple[PositiveFloat, PositiveFloat] = (0.04, 0.07)
    teacher_temperature_steps: int = Field(default=140, ge=0)
    text_tokenizer: str = Field(
        default="tiny", description="of the text tower: `tiny` (the tiny renderer's), or a folder with a tokenizer.json"
    )
    text_context: int = Field(default=32, ge=4, le=1024, description="tokens that the text tower reads; CLIP 77")
    text_width: int = Field(default=128, ge=16, description="of the text tower; CLIP 512")
    text_depth: int = Field(default=4, ge=1, description="blocks of the text tower; CLIP 12")
    text_heads: int = Field(default=4, ge=1, description="attention heads of the text tower; CLIP 8")
    text_out: int = Field(
        default=64, ge=8, description="dimensions of the joint space of images and captions; CLIP 512"
    )
    export: Literal["teacher", "student"] = Field(
        default="teacher", description="which weights to export; without a teacher: the student's"
    )
    compile: bool = Field(default=False, description="torch.compile the backbone; pays off on a GPU")
    max_hours: float | None = Field(
        default=None, gt=0, description="stop after so many hours of training, even if steps are left; null: never"
    )
    ranks: int = Field(
        default=1, ge=1, le=64, description="processes that train together on this host", json_schema_extra=NOT_LINEAGE
    )
    sharded: bool = Field(
        default=False,
        description="shard weights, gradients and optimizer state over the ranks (FSDP), for a ViT too large for one GPU",
        json_schema_extra=NOT_LINEAGE,
    )
    loader_workers: int = Field(
        default=0, ge=0, le=64, description="processes per rank that decode images ahead", json_schema_extra=NOT_LINEAGE
    )
    probe_every: int = Field(
        default=50,
        ge=0,
        description="steps between k-NN probes of the concepts of its own training images; 0: never",
        json_schema_extra=NOT_LINEAGE,
    )
    checkpoint_every: int = Field(
        default=100, ge=1, description="steps between checkpoints", json_schema_extra=NOT_LINEAGE
    )
    keep_checkpoints: int = Field(
        default=2, ge=1, description="latest checkpoints to keep", json_schema_extra=NOT_LINEAGE
    )

    @model_validator(mode="before")
    @classmethod
    def _objective(cls, given: Any) -> Any:
        return OBJECTIVES.get(str(given.get("objective", "synclr")), {}) | given if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _fits(self) -> "EncoderSpec":
        if not self.contrast_weight + self.concept_weight + self.text_weight + self.ibot_weight > 0:
            raise ValueError("every term has weight 0: set contrast_weight, concept_weight, text_weight or ibot_weight")
        if self.ibot_weight > 0 and not self.ema:
            raise ValueError(f"ibot_weight {self.ibot_weight:g} needs a teacher: set ema to true, or ibot_weight to 0")
        if self.contrast_weight > 0 and self.positives == "caption" and self.images_per_caption < 2:
            raise ValueError("positives of a caption are its other images: images_per_caption must be at least 2")
        if self.contrast_weight > 0 and self.positives == "image" and self.views < 2 and not self.local_crops:
            raise ValueError("positives of an image are its other crops: views must be at least 2")
        if self.local_crops and not self.contrast_weight > 0:
            raise ValueError(f"local_crops {self.local_crops} serve the contrast alone: set local_crops to 0")
        tokens = (self.image_size // self.patch_size) ** 2
        crops = self.captions_per_step * self.images_per_caption * self.views
        if self.ibot_weight > 0 and not (int(self.mask_ratio * tokens) and int(self.mask_probability * crops)):
            raise ValueError(
                f"ibot_weight {self.ibot_weight:g} needs masked tokens: mask_probability {self.mask_probability:g} of {crops} "
                f"crops and mask_ratio {self.mask_ratio:g} of {tokens} tokens mask none; raise them, or set ibot_weight to 0"
            )
        if self.optimizer == "muon" and self.sharded:
            raise ValueError("optimizer muon needs whole matrices: set sharded to false, or optimizer to adamw")
        if self.text_width % self.text_heads:
            raise ValueError(f"text_width {self.text_width} is no multiple of text_heads {self.text_heads}")
        return self

    @model_validator(mode="after")
    def _cuts_fit(self) -> "EncoderSpec":
        for name in ("global_scale", "local_scale"):
            low, high = getattr(self, name)
            if not 0 < low <= high <= 1:
                raise ValueError(f"{name} ({low:g}, {high:g}) must be shares of the image, 0 < low <= high <= 1")
        for name in ("image_size", "local_size") if self.local_crops else ("image_size",):
            if getattr(self, name) % self.patch_size:
                raise ValueError(f"{name} {getattr(self, name)} is no multiple of patch_size {self.patch_size}")
        if self.stem == "conv" and self.patch_size & (self.patch_size - 1):
            raise ValueError(
                f"stem conv halves images: patch_size {self.patch_size} is no power of two; or use stem patch"
            )
        if self.captions_per_step % self.ranks:
            raise ValueError(f"captions_per_step {self.captions_per_step} is no multiple of ranks {self.ranks}")
        return self
