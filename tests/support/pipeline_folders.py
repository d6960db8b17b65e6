"""Folders of diffusers pipelines as they are published, only small and with random weights: seconds to build, no network."""

import functools
import tempfile
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    LatentConsistencyModelPipeline,
    LCMScheduler,
    PixArtAlphaPipeline,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    PNDMScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from models.renderer.build import TINY

WIDTH = 32
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def clip_tokenizer() -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(TINY / "tokenizer", model_max_length=77)


def clip(kind: type = CLIPTextModel, width: int = WIDTH) -> torch.nn.Module:
    words = clip_tokenizer()
    shape = {"hidden_size": width, "intermediate_size": 2 * width, "projection_dim": width, "num_hidden_layers": 2}
    marks = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    return kind(
        CLIPTextConfig(vocab_size=len(words), num_attention_heads=4, max_position_embeddings=77, **shape, **marks)
    )


def t5_tokenizer() -> T5Tokenizer:
    letters = [(letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyz.,"]
    marks = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    return T5Tokenizer(vocab=[*marks, *letters], extra_ids=0, additional_special_tokens=[], model_max_length=512)


def t5(width: int = WIDTH) -> T5EncoderModel:
    shape = {"d_model": width, "d_kv": 8, "d_ff": 2 * width, "num_layers": 2, "num_heads": 4}
    return T5EncoderModel(T5Config(vocab_size=len(t5_tokenizer()), **shape))


def vae(channels: int = 4, **options: object) -> AutoencoderKL:
    """Side by 8, as every pipeline here has it."""
    levels = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    shape = {"block_out_channels": (8, 8, 16, 16), "layers_per_block": 1, "norm_num_groups": 8, "sample_size": 64}
    return AutoencoderKL(latent_channels=channels, **levels, **shape, **options)


def sd15() -> DiffusionPipeline:
    """Stable Diffusion 1.5's layout: four levels, three of which attend to the text, and the middle; a tenth of its channels."""
    unet = UNet2DConditionModel(
        sample_size=64,
        block_out_channels=(32, 64, 128, 128),
        layers_per_block=2,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=2,  # heads, in a U-Net of this age; its 8 cost most of the time at 512 pixels
        cross_attention_dim=WIDTH,
    )
    # As it is published: PNDM, with the steps' offset that DDIM reuses.
    scheduler = PNDMScheduler(**BETAS, steps_offset=1, set_alpha_to_one=False, skip_prk_steps=True)
    parts = {"text_encoder": clip(), "tokenizer": clip_tokenizer(), "feature_extractor": None}
    return StableDiffusionPipeline(
        vae=vae(), unet=unet, scheduler=scheduler, safety_checker=None, requires_safety_checker=False, **parts
    )


def small_unet(**options: object) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        **options,
    )


def lcm() -> DiffusionPipeline:
    parts = {"text_encoder": clip(), "tokenizer": clip_tokenizer(), "feature_extractor": None, "safety_checker": None}
    unet = small_unet(cross_attention_dim=WIDTH, attention_head_dim=8, time_cond_proj_dim=32)
    return LatentConsistencyModelPipeline(
        vae=vae(), unet=unet, scheduler=LCMScheduler(**BETAS), requires_safety_checker=False, **parts
    )


def sdxl() -> DiffusionPipeline:
    unet = small_unet(
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 2),
        projection_class_embeddings_input_dim=6 * 8 + WIDTH,
        cross_attention_dim=2 * WIDTH,
    )
    both = {"text_encoder": clip(), "text_encoder_2": clip(CLIPTextModelWithProjection)}
    words = {"tokenizer": clip_tokenizer(), "tokenizer_2": clip_tokenizer()}
    return StableDiffusionXLPipeline(vae=vae(), unet=unet, scheduler=DDIMScheduler(**BETAS), **both, **words)


def sd3() -> DiffusionPipeline:
    transformer = SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=2 * WIDTH,
        pooled_projection_dim=2 * WIDTH,
    )
    encoders = {f"text_encoder{name}": clip(CLIPTextModelWithProjection) for name in ("", "_2")}
    words = {f"tokenizer{name}": clip_tokenizer() for name in ("", "_2")}
    return StableDiffusion3Pipeline(
        vae=vae(use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.06),
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        text_encoder_3=t5(2 * WIDTH),
        tokenizer_3=t5_tokenizer(),
        **encoders,
        **words,
    )


def flux(guidance_embeds: bool = True) -> DiffusionPipeline:
    """As FLUX dev; without `guidance_embeds` as schnell."""
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=guidance_embeds,
    )
    encoders = {
        "text_encoder": clip(),
        "tokenizer": clip_tokenizer(),
        "text_encoder_2": t5(),
        "tokenizer_2": t5_tokenizer(),
    }
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=guidance_embeds)
    return FluxPipeline(vae=vae(shift_factor=0.1), transformer=transformer, scheduler=scheduler, **encoders)


def pixart(kind: type = PixArtSigmaPipeline) -> DiffusionPipeline:
    transformer = PixArtTransformer2DModel(
        sample_size=8,
        num_layers=2,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_channels=WIDTH,
        in_channels=4,
        cross_attention_dim=WIDTH,
        out_channels=8,
        norm_type="ada_norm_single",
        use_additional_conditions=False,
    )
    text = {"text_encoder": t5(), "tokenizer": t5_tokenizer()}
    return kind(vae=vae(), transformer=transformer, scheduler=DDIMScheduler(**BETAS), **text)


FAMILIES = {
    "sd15": sd15,
    "lcm": lcm,
    "sdxl": sdxl,
    "sd3": sd3,
    "flux": flux,
    "flux_schnell": functools.partial(flux, guidance_embeds=False),
    "pixart_alpha": functools.partial(pixart, PixArtAlphaPipeline),
    "pixart_sigma": pixart,
}


@functools.cache
def folder(family: str, variant: str | None = None) -> Path:
    """Built once per process; whoever changes its files takes a copy."""
    torch.manual_seed(0)
    place = Path(tempfile.mkdtemp(prefix=f"{family}-"))
    FAMILIES[family]().save_pretrained(place, safe_serialization=True, variant=variant)
    return place
