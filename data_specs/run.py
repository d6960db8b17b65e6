"""How a run is described: one field per room, in the order data walks through them. Defaults live here alone."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict

from data_specs.caption import Strategy
from data_specs.concept import Kind
from data_specs.image_group import Format

NOT_LINEAGE: JsonDict = {"lineage": False}
"""Marks a knob that changes how much is made, or where, but never what one shard holds."""
LINEAGE_IF_TURNED: JsonDict = {"lineage": "if turned"}
"""Marks a knob that came later: at its default it makes what was made before it was there, so sealed shards stay of use."""
UNTOUCHED = BeforeValidator(lambda said: None if said == {} else said)
"""Of a part that may be missing: what a form sends of one that nobody filled in."""


class Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)


def _sums_to_one(name: str, shares: Mapping[Any, float]) -> None:
    total = math.fsum(shares.values())
    if any(share < 0 for share in shares.values()) or abs(total - 1) > 1e-6:
        listed = ", ".join(f"{key} {value:g}" for key, value in shares.items())
        raise ValueError(f"{name} must be shares >= 0 that sum to 1; {listed} sum to {total:g}")


UNSORTED = "other"
"""The category of a name whose source gives none."""


class TinyWorldSource(Spec):
    """The 192 objects, 21 places and 12 textures that the tiny renderer can draw."""

    use: Literal["tiny_world"] = "tiny_world"


class ListedSource(Spec):
    """What every source of names from files has in common. Backgrounds: one list a name, or one that all names share."""

    path: str = Field(description="local path or fsspec URL; a relative path counts from the current folder")
    kind: Kind = Field(default="object", description="what the names are")
    category: str = Field(default=UNSORTED, description="the category that weights may name")
    split_at: str | None = Field(
        default=None, min_length=1, description="of `tench, Tinca tinca` only what stands before this is the name"
    )
    append: str = Field(
        default="", max_length=40, description="text after every name, as SynCLR says ` car` or ` aircraft`"
    )
    backgrounds: str | None = Field(
        default=None, description="JSON or YAML file of `{name: [backgrounds]}`; a name that it lacks has none"
    )
    backgrounds_key: str | None = Field(
        default=None, description="the list of `backgrounds` that all names share, such as `food`"
    )
    lower_backgrounds: bool = Field(default=False, description="as SynCLR does for ImageNet-1k alone")

    @model_validator(mode="after")
    def _key_of_a_file(self) -> "ListedSource":
        if self.backgrounds_key is not None and self.backgrounds is None:
            raise ValueError(
                f"backgrounds_key {self.backgrounds_key!r} needs backgrounds, the file that it is a key of"
            )
        return self


class FileSource(ListedSource):
    """A list of names: `.txt` (one a line), or `.csv`, `.tsv`, `.json`, `.jsonl`, `.yaml`, `.parquet` with any column names."""

    use: Literal["file"] = "file"
    column: str = Field(default="name", description="column of the names; plain lists of names have none")
    kind_column: str | None = Field(default=None, description="column of kinds: object, place or texture")
    category_column: str | None = Field(default=None, description="column of categories")
    backgrounds_column: str | None = Field(default=None, description="column of backgrounds, a list or split at `|`")
    within: str | None = Field(
        default=None, description="JSON, YAML: the key under which the list stands, as `imagenet` in `labels.json`"
    )
    keys_are_names: bool = Field(
        default=False, description="JSON, YAML: the file is `{name: [backgrounds]}`, and its keys are the names"
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
        default=", ", min_length=1, description="of `tench, Tinca tinca` only what stands before this is the name"
    )
    feature: str | None = Field(default=None, description="the ClassLabel feature, where the data set has several")
    config: str | None = Field(default=None, description="the configuration, where their class names differ")


class WordNetSource(ListedSource):
    """The first word of noun synsets in WordNet's own `data.noun`, or the words of its `index.noun`."""

    use: Literal["wordnet"] = "wordnet"
    synsets: str | None = Field(
        default=None, description="text file of the synsets wanted, one a line: n02084071, 02084071-n or dog.n.01"
    )
    lexicographer_files: tuple[str, ...] = Field(
        default=(), description="only synsets of these, such as `noun.animal`; empty: all"
    )


Source = Annotated[TinyWorldSource | FileSource | HuggingFaceSource | WordNetSource, Field(discriminator="use")]


def server_addresses(listed: str) -> list[str]:
    return [url.strip().rstrip("/") for url in listed.split(",") if url.strip()]


class LanguageModelSpec(Spec):
    """Which language model completes prompts, and how it draws its tokens."""

    at: ClassVar[str]
    """The part of a recipe that these knobs stand in, for messages."""

    engine: Literal["vllm", "openai", "transformers", "fake"] = Field(
        default="vllm",
        description="vllm: in this process; openai: a server that speaks its protocol; transformers: slow",
    )
    model: str = Field(
        default="smollm2-135m",
        description="`smollm2-135m` (ships as a package), a local folder, a hub id with `revision`, or what a server calls it",
    )
    revision: str | None = Field(
        default=None, description="commit of a hub id, required for one; of a server: what it was started with"
    )
    dtype: Literal["bfloat16", "float16", "float32"] = Field(
        default="bfloat16", description="of the weights; a server was started with its own"
    )
    temperature: float = Field(default=0.8, ge=0, le=2)
    top_p: float = Field(default=0.9, gt=0, le=1)
    max_tokens: int = Field(default=32, ge=4, le=512)
    server: str | None = Field(
        default=None,
        description="engine openai: http://host:port/v1, several separated by commas; empty: SYNCLR_API_SERVER",
        json_schema_extra=NOT_LINEAGE,
    )
    concurrency: int = Field(
        default=64,
        ge=1,
        le=4096,
        description="engine openai: requests that one engine process has in flight",
        json_schema_extra=NOT_LINEAGE,
    )
    timeout: float = Field(
        default=120, gt=0, description="engine openai: seconds that one request may take", json_schema_extra=NOT_LINEAGE
    )
    max_model_len: int = Field(
        default=1024,
        ge=64,
        description="engine vllm: tokens of a prompt and its completion that memory is kept for",
        json_schema_extra=NOT_LINEAGE,
    )
    tensor_parallel: int = Field(
        default=1,
        ge=1,
        description="engine vllm: GPUs that hold one copy of the model",
        json_schema_extra=LINEAGE_IF_TURNED,
    )
    gpu_memory: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="engine vllm: share of a GPU's memory that it takes; empty: vLLM's own",
        json_schema_extra=NOT_LINEAGE,
    )

    @field_validator("server")
    @classmethod
    def _addresses(cls, server: str | None) -> str | None:
        for url in server_addresses(server or ""):
            parts = urlsplit(url)
            odd = parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment
            if odd or parts.port == 0:  # a port that is no number raises by itself
                raise ValueError("must be http://host:port/v1 or https://...; several are separated by commas")
            if "@" in parts.netloc:  # recipes are kept and shown
                raise ValueError("must hold no name or password; a key goes into the environment (SYNCLR_API_KEY)")
        return server


class BackgroundsSpec(LanguageModelSpec):
    """Which language model lists the places where an object may be, and how many are wanted. SynCLR asked GPT-4 for 100."""

    at: ClassVar[str] = "concepts.backgrounds_by"

    model: str = Field(description="`smollm2-135m`, a local folder, or a hub id with `revision`")
    max_tokens: int = Field(default=96, ge=16, le=512, description="of one answer, which is one line")
    per_concept: int = Field(default=10, ge=1, le=1000, description="backgrounds wanted for each object")
    for_all: bool = Field(
        default=False, description="also for objects that have backgrounds from their sources, which come first"
    )
    shared_by_category: bool = Field(
        default=False, description="one list for all objects of a category, asked for by the category's name"
    )
    attempts: int = Field(
        default=8, ge=1, le=64, description="times an object is asked about until it has enough, first included"
    )
    prompt: str = Field(
        default="backgrounds", description="a file of data_specs/prompts by name, or the path of one of the same form"
    )
    per_shard: int = Field(default=64, ge=1, le=10_000, description="objects in one shard, which is asked in one go")
    min_kept: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="a shard that ends with a smaller share of what is wanted stops the run",
        json_schema_extra=NOT_LINEAGE,
    )


class ConceptsSpec(Spec):
    """Which names, from where, and how often each is drawn: nested as in SynCLR (kind, category, uniform within)."""

    sources: tuple[Source, ...] = Field(default=(TinyWorldSource(),), min_length=1)
    kinds: dict[Kind, float] = Field(
        default={"object": 0.91, "place": 0.088, "texture": 0.002},
        description="share of captions per kind; kinds without a concept are left out and the rest rescaled",
    )
    categories: dict[str, float] = Field(
        default={}, description="share per category among objects, summing to 1; empty: uniform over names"
    )
    backgrounds_by: Annotated[BackgroundsSpec | None, UNTOUCHED] = Field(
        default=None,
        description="a language model that writes backgrounds for objects whose sources give none; it needs its `model`",
        json_schema_extra=LINEAGE_IF_TURNED,
    )

    @model_validator(mode="after")
    def _shares(self) -> "ConceptsSpec":
        _sums_to_one("kinds", self.kinds)
        if self.categories:
            _sums_to_one("categories", self.categories)
        return self


class CaptionsSpec(LanguageModelSpec):
    """How sentences are written about concepts (SynCLR section 3.1)."""

    at: ClassVar[str] = "captions"

    total: int = Field(
        default=512, ge=1, description="captions planned in all; raise it to grow", json_schema_extra=NOT_LINEAGE
    )
    per_shard: int = Field(default=32, ge=1, le=100_000, description="captions planned in one shard")
    strategies: dict[Strategy, float] = Field(
        default={"concept": 0.44, "relation": 0.11, "background": 0.45},
        description="share of each strategy among objects; places and textures always use `concept`",
    )
    offer_other: bool = Field(
        default=True, description="name the second object of a relation (from the concept table) in the prompt"
    )
    backgrounds: Literal["own", "random_place"] = Field(
        default="own",
        description="an object's own backgrounds, or any place of the table, which SynCLR found worse (an ablation)",
        json_schema_extra=LINEAGE_IF_TURNED,
    )
    prompts: str = Field(
        default="synclr", description="name of a set in data_specs/prompts, or a folder of the same form"
    )
    packing: int = Field(
        default=16,
        ge=1,
        le=100_000,
        description="so many slots in a row share their examples, one draw per kind of prompt, which an engine that keeps "
        "prefixes reads once; 1: each draws its own",
    )
    attempts: int = Field(
        default=8, ge=1, le=32, description="times a refused caption is asked for again, first included"
    )
    min_words: int = Field(default=3, ge=1)
    max_words: int = Field(default=40, ge=1)
    refuse_leaked: bool = Field(
        default=True, description="refuse what repeats the prompt: its arrow, header or examples"
    )
    require_concept: bool = Field(default=True, description="refuse captions that do not name their concept")
    require_background: bool = Field(
        default=False, description="refuse captions that do not name their background; SynCLR does not ask for it"
    )
    require_other: bool = Field(
        default=False, description="refuse captions of a relation that do not name the second object offered"
    )
    require_relation: bool = Field(
        default=False,
        description="refuse captions of a relation that do not say it, or say it of the two objects the other way round",
    )
    language: Literal["en"] | None = Field(
        default="en", description="refuse what has another alphabet or other languages' small words; null: any language"
    )
    repeated_words: int | None = Field(
        default=3, ge=1, le=20, description="refuse so many words in a row said twice; null: never"
    )
    near_duplicates: float | None = Field(
        default=0.85,
        ge=0.3,
        le=1,
        description="refuse a caption that shares this much of its word pairs with one of its shard; null: only copies",
    )
    unsafe_words: str | None = Field(
        default=None, description="text file of words and phrases, one a line, that no caption may hold"
    )
    across_shards: Literal["near", "exact"] | None = Field(
        default="near",
        description="leave undrawn what repeats a caption of an earlier shard: `near` as near_duplicates measures it, "
        "`exact` copies alone; null: draw all",
        json_schema_extra=NOT_LINEAGE,
    )
    balance: int | None = Field(
        default=None,
        ge=1,
        description="MetaCLIP's t: of the captions that name a concept often, draw about so many a concept; null: draw all",
        json_schema_extra=NOT_LINEAGE,
    )
    min_kept: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="a shard that keeps a smaller share of its plan stops the run",
        json_schema_extra=NOT_LINEAGE,
    )

    @model_validator(mode="after")
    def _shares(self) -> "CaptionsSpec":
        _sums_to_one("strategies", self.strategies)
        if self.min_words > self.max_words:
            raise ValueError(f"min_words {self.min_words} is more than max_words {self.max_words}")
        return self


class ScorerSpec(Spec):
    """What says how well a picture fits its caption: the cosine of both in one space, from -1 to 1."""

    engine: Literal["clip", "encoder", "fake"] = Field(
        default="clip", description="a Hugging Face CLIP, or an encoder trained here with a text tower (objective clip)"
    )
    model: str = Field(
        description="a local folder, or (clip) a hub id with `revision`; an encoder's is `<root>/encoder/<lineage>/encoder`"
    )
    revision: str | None = Field(default=None, description="commit of a hub id; required for one")
    min_score: float | None = Field(
        default=None, ge=-1, le=1, description="a picture below it is drawn again, as a faulty one; null: none is"
    )


class SafetySpec(Spec):
    """What flags unsafe pictures, and what then happens to them. They are never blackened."""

    policy: Literal["keep", "redraw", "drop"] = Field(
        description="keep it, flagged in its record; draw another, as of a faulty one; or refuse its caption at once"
    )
    model: str | None = Field(
        default=None,
        description="a Stable Diffusion safety checker: a local folder, or a hub id with `revision`; null: the pipeline's own",
    )
    revision: str | None = Field(default=None, description="commit of a hub id; required for one")
    threshold: float = Field(
        default=0.0,
        ge=-1,
        le=1,
        description="flag what lies above: the largest cosine with one of the checker's concepts, less that concept's own "
        "threshold; lower flags more",
    )


class LoraSpec(Spec):
    """Weights that are added to the model's own before it draws (Hu et al., 2021, arXiv:2106.09685)."""

    model: str = Field(description="a local folder, or a hub id with `revision`")
    revision: str | None = Field(default=None, description="commit of a hub id; required for one")
    file: str = Field(
        default="pytorch_lora_weights.safetensors", pattern=r"\.safetensors$", description="the file that holds it"
    )
    scale: float = Field(default=1.0, ge=-4, le=4, description="how much of it is added")


class ImagesSpec(Spec):
    """How captions are drawn (SynCLR section 3.2: 4 pictures a caption at CFG 2.5)."""

    engine: Literal["diffusers", "fake"] = "diffusers"
    model: str = Field(default="tiny", description="`tiny` (ships here), a local folder, or a hub id with `revision`")
    revision: str | None = Field(default=None, description="commit of a hub id; required for one")
    loras: tuple[LoraSpec, ...] = Field(
        default=(), description="added to the model, in this order", json_schema_extra=LINEAGE_IF_TURNED
    )
    dtype: Literal["bfloat16", "float16", "float32"] = "float32"
    per_caption: int = Field(default=4, ge=2, le=64, description="positives per caption")
    guidance_scale: float = Field(
        default=2.5,
        ge=0,
        le=30,
        description="classifier-free guidance, CFG; 1 or less: none, as Turbo models want it. A model distilled to take "
        "guidance as an input (FLUX dev, LCM) gets this number",
    )
    negative_prompt: str = Field(
        default="", description="what CFG leads away from; empty: the model's own empty prompt"
    )
    scheduler: str | None = Field(
        default="DPMSolverMultistepScheduler",
        description="class name of a diffusers scheduler; null: the model's own",
    )
    scheduler_options: dict[str, bool | int | float | str] = Field(
        default={}, description="overrides of its config, and `eta` where it takes one"
    )
    steps: int = Field(default=12, ge=1, le=1000)
    text_tokens: int | None = Field(
        default=None,
        ge=8,
        le=4096,
        description="tokens that a T5 or other large text encoder reads; empty: the pipeline's own. CLIP always reads 77",
        json_schema_extra=LINEAGE_IF_TURNED,
    )
    size: int | None = Field(default=None, ge=8, description="pixels drawn per side; empty: the model's own")
    save_size: int | None = Field(
        default=None, ge=8, description="pixels stored per side, antialiased, only if smaller than drawn"
    )
    format: Format = "jpg"
    quality: int = Field(default=95, ge=1, le=100, description="of jpg and webp")
    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="pictures drawn in one call; empty: on a GPU as many as its memory holds, found by drawing few",
        json_schema_extra=LINEAGE_IF_TURNED,
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|(cuda|xpu)(:\d{1,3})?)$",
        description="auto (a GPU if there is one), cpu, cuda, cuda:1, xpu or mps",
        json_schema_extra=NOT_LINEAGE,
    )
    offload: bool = Field(
        default=False,
        description="each part of the pipeline is on the GPU only while it works: slower, in less memory",
        json_schema_extra=NOT_LINEAGE,
    )
    attention: str | None = Field(
        default=None,
        description="U-Nets: native, sliced or xformers; transformers: a diffusers attention backend such as flash or sage",
        json_schema_extra=LINEAGE_IF_TURNED,
    )
    compile: bool = Field(
        default=False,
        description="torch.compile of the U-Net or transformer: minutes before the first picture, faster after",
        json_schema_extra=LINEAGE_IF_TURNED,
    )
    channels_last: bool = Field(
        default=False, description="memory layout of a U-Net; faster on GPUs", json_schema_extra=LINEAGE_IF_TURNED
    )
    vae_slicing: bool = Field(
        default=False, description="decode one picture at a time: less memory", json_schema_extra=LINEAGE_IF_TURNED
    )
    vae_tiling: bool = Field(
        default=False,
        description="decode a large picture in tiles, blended where they meet: less memory",
        json_schema_extra=LINEAGE_IF_TURNED,
    )
    attempts: int = Field(default=3, ge=1, le=16, description="times a faulty picture is drawn, first included")
    min_kept: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="a shard in which a smaller share of captions gets all its pictures stops the run",
        json_schema_extra=NOT_LINEAGE,
    )
    scorer: Annotated[ScorerSpec | None, UNTOUCHED] = Field(
        default=None,
        description="what scores pictures against their captions; it needs its `model`; null: nothing does",
    )
    candidates: int | None = Field(
        default=None,
        ge=2,
        le=512,
        description="draw so many per caption and keep the per_caption that the scorer likes best, as DALL-E did; null: all",
    )
    safety: Annotated[SafetySpec | None, UNTOUCHED] = Field(
        default=None, description="what flags unsafe pictures; it needs its `policy`; null: nothing does"
    )

    @property
    def drawn_per_caption(self) -> int:
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


Decay = Annotated[float, Field(ge=0, lt=1)]
ALONE: dict[str, Any] = {"ema": False, "ibot_weight": 0.0, "local_crops": 0}
"""One encoder without a teacher, whole pictures alone."""
OBJECTIVES: dict[str, dict[str, Any]] = {
    "synclr": {},
    "stablerep": ALONE | {"temperature": 0.1},
    "stablerep_plus": ALONE | {"temperature": 0.1, "text_weight": 1.0},
    "simclr": ALONE | {"temperature": 0.1, "positives": "picture", "views": 2},
    "supervised": ALONE | {"contrast_weight": 0.0, "concept_weight": 1.0},
    # CLIP's own settings for a ViT-B (its appendix F), since those of a contrast between pictures taught it nothing here.
    "clip": ALONE
    | {"contrast_weight": 0.0, "text_weight": 1.0, "images_per_caption": 1, "captions_per_step": 128}
    | {"lr": 5e-4, "betas": (0.9, 0.98), "weight_decay": (0.2, 0.2)},
}
"""What an objective turns of the knobs below; whatever a recipe says itself comes first. Equation 4 of SynCLR turns none."""


class EncoderSpec(Spec):
    """How the encoder learns (SynCLR section 3.3-3.4; figures of Table 12 are in the `paper` recipe)."""

    objective: Literal["synclr", "stablerep", "stablerep_plus", "simclr", "supervised", "clip"] = Field(
        default="synclr", description="a set of the terms and knobs below; each can still be turned alone"
    )
    contrast_weight: float = Field(default=1.0, ge=0, description="term: multi-positive contrast between pictures")
    positives: Literal["caption", "concept", "picture"] = Field(
        default="caption",
        description="what makes two crops positives: SynCLR's captions, supervised concepts, SimCLR's own picture",
    )
    views: int = Field(default=1, ge=1, le=4, description="global crops per picture and step")
    concept_weight: float = Field(default=0.0, ge=0, description="term: cross-entropy on the concept, as a classifier")
    text_weight: float = Field(
        default=0.0, ge=0, description="term: picture against caption by a text tower, as in CLIP and StableRep+"
    )
    ema: bool = Field(
        default=True, description="a teacher that follows gives the keys; without one the features themselves are keys"
    )
    repeat: int = Field(
        default=0, ge=0, description="another number trains anew on the same pictures, with other random numbers"
    )
    architecture: Literal["vit_tiny", "vit_small", "vit_base", "vit_large"] = "vit_tiny"
    patch_size: int = Field(default=16, ge=2, le=64)
    stem: Literal["patch", "conv"] = Field(
        default="conv", description="how pixels become patches; conv for few pictures"
    )
    precision: Literal["fp32", "bf16"] = Field(default="fp32", description="of the forward pass; losses are in fp32")
    image_size: int = Field(default=64, ge=16, description="pixels per side of a global crop")
    local_size: int = Field(default=32, ge=8, description="pixels per side of a local crop")
    local_crops: int = Field(default=2, ge=0, le=16, description="local crops per picture")
    global_scale: tuple[float, float] = Field(default=(0.32, 1.0), description="area of a global crop")
    local_scale: tuple[float, float] = Field(default=(0.08, 0.32), description="area of a local crop")
    local_blur_side: int = Field(
        default=224,
        ge=8,
        description="a local crop is blurred by 0.1 to 2 pixels of this side, in proportion; the reference's are of 96",
        json_schema_extra=LINEAGE_IF_TURNED,
    )
    downsample_probability: float = Field(default=0.05, ge=0, le=1, description="StableRep's downsample augmentation")
    images_per_caption: int = Field(default=4, ge=1, description="pictures drawn per caption and step")
    captions_per_step: int = Field(default=32, ge=2, description="batch size, counted in captions")
    accumulate: int = Field(
        default=1, ge=1, description="batches whose gradients make one step; each is contrasted within itself alone"
    )
    shuffle_shards: int = Field(default=64, ge=1, description="image shards that are open and shuffled together")
    steps: int = Field(default=700, ge=1)
    warmup_steps: int = Field(default=70, ge=0)
    lr: float = Field(default=1.5e-3, gt=0, description="peak learning rate, absolute")
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    weight_decay: tuple[NonNegativeFloat, NonNegativeFloat] = Field(default=(0.04, 0.2), description="cosine from, to")
    clip_gradient: float | None = Field(default=3.0, gt=0)
    drop_path: float = Field(default=0.0, ge=0, lt=1, description="student only")
    temperature: float = Field(default=0.08, gt=0, description="contrastive temperature (paper 0.08, code 0.1)")
    ema_momentum: float = Field(
        default=0.98, ge=0, le=1, description="start of the cosine to 1; the paper's 0.994 is for runs of 500,000 steps"
    )
    head_norm: Literal["ln", "bn"] = Field(
        default="bn", description="of the contrastive heads: bn as in MoCo v3 (paper), ln as the code's default"
    )
    head_hidden: int = Field(default=256, ge=8)
    head_out: int = Field(default=64, ge=8)
    ibot_weight: float = Field(default=1.0, ge=0, description="term: masked patches, as in iBOT; needs a teacher")
    patch_head_hidden: int = Field(default=256, ge=8)
    patch_head_bottleneck: int = Field(default=64, ge=8)
    prototypes: int = Field(default=256, ge=2)
    mask_probability: float = Field(default=0.5, ge=0, le=1, description="share of global crops that are masked")
    mask_ratio: float = Field(default=0.5, gt=0, lt=1, description="share of a masked crop's tokens")
    teacher_temperature: tuple[PositiveFloat, PositiveFloat] = (0.04, 0.07)
    teacher_temperature_steps: int = Field(default=140, ge=0)
    text_tokenizer: str = Field(
        default="tiny", description="of the text tower: `tiny` (the tiny renderer's), or a folder with a tokenizer.json"
    )
    text_context: int = Field(default=32, ge=4, le=1024, description="tokens that the text tower reads; CLIP 77")
    text_width: int = Field(default=128, ge=16, description="of the text tower; CLIP 512")
    text_depth: int = Field(default=4, ge=1, description="blocks of the text tower; CLIP 12")
    text_heads: int = Field(default=4, ge=1, description="attention heads of the text tower; CLIP 8")
    text_out: int = Field(default=64, ge=8, description="numbers in which pictures and captions are compared; CLIP 512")
    export: Literal["teacher", "student"] = Field(default="teacher", description="without a teacher: the student")
    compile: bool = Field(default=False, description="torch.compile the backbone: worth it on a GPU")
    max_hours: float | None = Field(
        default=None, gt=0, description="stop after so many hours of training, whatever steps are left; null: never"
    )
    ranks: int = Field(
        default=1, ge=1, le=64, description="processes that train together on this host", json_schema_extra=NOT_LINEAGE
    )
    sharded: bool = Field(
        default=False,
        description="split weights, gradients and moments over the ranks (FSDP), for a ViT that one GPU cannot hold",
        json_schema_extra=NOT_LINEAGE,
    )
    loader_workers: int = Field(
        default=0, ge=0, le=64, description="processes per rank that decode ahead", json_schema_extra=NOT_LINEAGE
    )
    probe_every: int = Field(
        default=50,
        ge=0,
        description="steps between looks at how well its own pictures' neighbours name their concepts; 0: never",
        json_schema_extra=NOT_LINEAGE,
    )
    checkpoint_every: int = Field(default=100, ge=1, json_schema_extra=NOT_LINEAGE)
    keep_checkpoints: int = Field(default=2, ge=1, json_schema_extra=NOT_LINEAGE)

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
            raise ValueError("positives of a caption are its other pictures: images_per_caption must be at least 2")
        if self.contrast_weight > 0 and self.positives == "picture" and self.views < 2 and not self.local_crops:
            raise ValueError("positives of a picture are its other crops: views must be at least 2")
        if self.local_crops and not self.contrast_weight > 0:
            raise ValueError(f"local_crops {self.local_crops} serve the contrast alone: set local_crops to 0")
        tokens = (self.image_size // self.patch_size) ** 2
        crops = self.captions_per_step * self.images_per_caption * self.views
        if self.ibot_weight > 0 and not (int(self.mask_ratio * tokens) and int(self.mask_probability * crops)):
            raise ValueError(
                f"ibot_weight {self.ibot_weight:g} needs masked tokens: mask_probability {self.mask_probability:g} of {crops} "
                f"crops and mask_ratio {self.mask_ratio:g} of {tokens} tokens mask none; raise them, or set ibot_weight to 0"
            )
        if self.text_width % self.text_heads:
            raise ValueError(f"text_width {self.text_width} is no multiple of text_heads {self.text_heads}")
        return self

    @model_validator(mode="after")
    def _cuts_fit(self) -> "EncoderSpec":
        for name in ("global_scale", "local_scale"):
            low, high = getattr(self, name)
            if not 0 < low <= high <= 1:
                raise ValueError(f"{name} ({low:g}, {high:g}) must be shares of the picture, 0 < low <= high <= 1")
        for name in ("image_size", "local_size") if self.local_crops else ("image_size",):
            if getattr(self, name) % self.patch_size:
                raise ValueError(f"{name} {getattr(self, name)} is no multiple of patch_size {self.patch_size}")
        if self.stem == "conv" and self.patch_size & (self.patch_size - 1):
            raise ValueError(
                f"stem conv halves pictures: patch_size {self.patch_size} is no power of two; or use stem patch"
            )
        if self.captions_per_step % self.ranks:
            raise ValueError(f"captions_per_step {self.captions_per_step} is no multiple of ranks {self.ranks}")
        return self


Metric = Literal["top1", "mean_per_class", "map11"]
ProtocolName = Literal["ridge", "knn", "logistic", "sgd", "few_shot"]
TinyWorldBenchmark = Literal["styles", "training_styles"]


class DataSet(Spec):
    """What every benchmark of your own has in common: pictures with classes, on this machine or at a URL."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="what its scores are called")
    path: str = Field(description="folder, local or fsspec URL; a relative path counts from the current folder")
    metric: Metric = Field(
        default="top1",
        description="share of pictures named rightly; the mean of that share over classes; 11-point mAP as in VOC 2007",
    )
    size: int = Field(
        default=224, ge=8, description="pixels per side: the shorter side resampled (bicubic), the centre cut out"
    )
    resize: int | None = Field(
        default=None,
        ge=8,
        description="the shorter side before the centre is cut out: 256 for ImageNet's linear probe; null: size",
    )

    @model_validator(mode="after")
    def _cut_out_of_it(self) -> "DataSet":
        if self.resize is not None and self.resize < self.size:
            raise ValueError(f"resize {self.resize} is less than size {self.size}, which is cut out of it")
        return self


class SplitDataSet(DataSet):
    """A data set that comes in splits."""

    train: str = Field(default="train", description="its split to learn from")
    validation: str | None = Field(
        default=None, description="its split to choose hyper-parameters on; null: a random fifth of train"
    )
    test: str = Field(default="test", description="its split to be tested on")

    @model_validator(mode="after")
    def _apart(self) -> "SplitDataSet":
        if len({self.train, self.validation, self.test}) < 3:
            raise ValueError(
                f"train {self.train!r}, validation {self.validation!r} and test {self.test!r} must be three splits: what is "
                "tested must not be learned from; set validation to null, and a fifth of train serves"
            )
        return self


class ImageFolder(SplitDataSet):
    """`<path>/<split>/<class>/<picture>`."""

    use: Literal["image_folder"] = "image_folder"


class HuggingFaceImages(SplitDataSet):
    """A data set as `save_to_disk` leaves it, or Parquet files with the pictures inside, as hubs serve them."""

    use: Literal["huggingface"] = "huggingface"
    image_column: str = "image"
    label_column: str = Field(default="label", description="a class, or a list of the classes that a picture shows")


class ImageShards(DataSet):
    """The images room of any run, `<root>/images/<lineage>`: a fifth of its captions is the test, with all their pictures."""

    use: Literal["image_shards"] = "image_shards"
    label: Literal["concept", "category"] = "concept"


OwnBenchmark = Annotated[ImageFolder | HuggingFaceImages | ImageShards, Field(discriminator="use")]


class EmbeddingsSpec(Spec):
    """Which encoders look at which benchmarks: the trained one, and what it must beat."""

    benchmarks: tuple[TinyWorldBenchmark, ...] = ("styles", "training_styles")
    copies: int = Field(default=8, ge=1, description="renders per concept and style")
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1, description="one drawing of the benchmark per seed")
    data_sets: tuple[OwnBenchmark, ...] = Field(default=(), description="benchmarks of your own, beside those")
    pooling: Literal["cls", "mean", "both"] = Field(
        default="both", description="class token (paper), mean of the patch tokens, or both side by side"
    )
    blocks: int = Field(
        default=1,
        ge=1,
        description="features of the last so many blocks side by side, at most all: 1 (paper), 4 (DINO's linear probes)",
        json_schema_extra=LINEAGE_IF_TURNED,
    )
    random_inits: int = Field(default=3, ge=0, description="untrained encoders to compare with")
    hog: bool = Field(default=True, description="also HOG with a colour grid")
    templates: str = Field(
        default="tiny_world",
        description="sentences about a class, for zero-shot by an encoder with a text tower: `tiny_world`, `clip` or a file",
    )

    @model_validator(mode="after")
    def _named_apart(self) -> "EmbeddingsSpec":
        names = [*get_args(TinyWorldBenchmark), "styles_categories", *(one.name for one in self.data_sets)]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two benchmarks are called {twice!r}: give each of data_sets a name of its own")
        if not self.benchmarks and not self.data_sets:
            raise ValueError("there is nothing to look at: name benchmarks or data_sets")
        return self


class ScoresSpec(Spec):
    """By which protocols embeddings are judged. Zero-shot by text is measured wherever an encoder has a text tower."""

    protocols: tuple[ProtocolName, ...] = Field(
        default=("ridge", "knn"),
        min_length=1,
        description="linear probes (closed form, L-BFGS over SynCLR's 45 penalties, SGD over 9 learning rates), k-NN, few-shot",
    )
    knn_k: int = Field(default=10, ge=1)
    knn_temperature: float = Field(default=0.07, gt=0, description="as in DINO")
    ridge_penalties: tuple[PositiveFloat, ...] = Field(
        default=(0.001, 0.01, 0.1, 1.0, 10.0),
        min_length=1,
        description="L2, against the mean squared error on standardised features; chosen on validation splits",
    )
    logistic_every_penalty: bool = Field(
        default=False, description="try all 45 penalties (paper), or coarse to fine, a third of them"
    )
    logistic_iterations: int = Field(default=1000, ge=1, description="of L-BFGS, at most (paper 1000)")
    sgd_epochs: int = Field(default=90, ge=1, description="over the features, which are not augmented (paper 90)")
    few_shots: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(1, 5), min_length=1, description="pictures per class"
    )
    few_shot_repeats: int = Field(default=5, ge=2, description="draws of them; mean and 95 % interval are reported")


class ExecutionSpec(Spec):
    """Where the work runs. Nothing here changes what is made."""

    workers: int = Field(default=1, ge=1, le=64, description="engine processes per room on this host")
    threads: int | None = Field(
        default=None, ge=1, description="CPU threads per engine; empty: cores / engines of the room"
    )


class RunSpec(Spec):
    """A recipe, resolved. Rooms in walking order."""

    seed: int = Field(default=0, ge=0, description="from which every other seed follows")
    concepts: ConceptsSpec = ConceptsSpec()
    captions: CaptionsSpec = CaptionsSpec()
    images: ImagesSpec = ImagesSpec()
    encoder: EncoderSpec = EncoderSpec()
    embeddings: EmbeddingsSpec = EmbeddingsSpec()
    scores: ScoresSpec = ScoresSpec()
    execution: ExecutionSpec = Field(default=ExecutionSpec(), json_schema_extra=NOT_LINEAGE)

    @model_validator(mode="after")
    def _rooms_agree(self) -> "RunSpec":
        if self.encoder.images_per_caption > self.images.per_caption:
            raise ValueError(
                f"encoder.images_per_caption {self.encoder.images_per_caption} is more than the {self.images.per_caption} "
                "that images.per_caption draws: raise that, or lower this"
            )
        return self


ROOMS = ("concepts", "captions", "images", "encoder", "embeddings", "scores")
WORKSPACE = "workspace"
"""The root, if neither a request nor SYNCLR_ROOT names one."""


class Run(Spec):
    """One walk of one recipe: its name, where outputs go, and the recipe, resolved."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", description="letters, digits, - and _")
    root: str = Field(description="local folder or fsspec URL under which every output lies")
    spec: RunSpec = RunSpec()
