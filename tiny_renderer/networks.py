"""Build the four parts of the tiny latent diffusion model, the losses that train them, and the pipeline of all four.

The parts are stock classes in Stable Diffusion's own layout (Rombach et al., 2022, arXiv:2112.10752), only small.
Shapes: N images, C latent channels, T tokens, D text width.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

Autoencoder = AutoencoderKL
Denoiser = UNet2DConditionModel
Pipeline = StableDiffusionPipeline
"""Types of the parts for the other modules; diffusers itself is imported here alone."""

LATENT_CHANNELS, LATENT_SIDE = 4, 16
TEXT_WIDTH = 256
TOKENS = 32
"""Captions of the captions stage have 8 to 16 tokens; what a caption says later than this is cut, as CLIP cuts at 77."""
KL_WEIGHT = 1e-3
"""Per latent number, against a reconstruction loss per pixel: enough to keep the latents' spread near one."""
SHRUNK_WEIGHT = 0.25
"""Of the error of latents of half the side, per pixel of half the side."""
FLOW_STEPS = 1000
"""The network is told a time of 0 to 1 as 0 to this number, which is what the schedulers count in."""
TIME_SHIFT, UNIFORM = 0.3, 5


def build_autoencoder() -> AutoencoderKL:
    """Return the VAE: 64 px RGB to 4 x 16 x 16; channels double as the side halves, so every level costs about the same.

    One block a level and no attention: decoding has to stay a small part of what an image costs.
    """
    return AutoencoderKL(
        latent_channels=LATENT_CHANNELS,
        block_out_channels=(16, 32, 64),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        norm_num_groups=8,
        sample_size=64,
        mid_block_add_attention=False,
    )


def build_text_encoder(vocabulary: int, start: int, end: int) -> CLIPTextModel:
    """Return a causal CLIP text tower of 4 layers; ``start`` and ``end`` are the ids of its two special tokens."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=TEXT_WIDTH,
            intermediate_size=2 * TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=4,
            num_attention_heads=4,
            max_position_embeddings=TOKENS,
            hidden_act="quick_gelu",
            bos_token_id=start,
            eos_token_id=end,
            pad_token_id=end,
        )
    )


def build_denoiser() -> UNet2DConditionModel:
    """Return the U-Net on 16x16 latents, which has no more than one block there and spends its time at 8x8 and 4x4.

    There it attends to the caption's tokens; at every level a summary of them modulates each block, as the time does.
    """
    return UNet2DConditionModel(
        sample_size=LATENT_SIDE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        layers_per_block=(0, 1, 1),
        block_out_channels=(32, 96, 192),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="text",
        addition_embed_type_num_heads=8,
    )


def sampling_schedule() -> DPMSolverMultistepScheduler:
    """Return the scheduler that the exported pipeline starts with: DPM-Solver++ of order 2 on a rectified flow's sigmas."""
    return DPMSolverMultistepScheduler(
        num_train_timesteps=FLOW_STEPS,
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=1.0,
        algorithm_type="dpmsolver++",
        solver_order=2,
        steps_offset=1,
    )


class CaptionTagger(nn.Module):
    """The text tower with one linear head per label on its last hidden state at the end token.

    CLIP's tower is trained on images before a diffusion model uses it; this one is trained on labelled captions to tell
    what they name. The heads are thrown away afterwards.
    """

    def __init__(self, tower: CLIPTextModel, classes: Mapping[str, int]) -> None:
        super().__init__()
        self.tower = tower
        self.heads = nn.ModuleDict({name: nn.Linear(TEXT_WIDTH, count) for name, count in classes.items()})

    def forward(self, tokens_NT: Tensor, last_N: Tensor) -> dict[str, Tensor]:
        """Return logits (N, classes) per label; ``last_N`` is where each caption's end token stands."""
        hidden_NTD = self.tower(input_ids=tokens_NT).last_hidden_state
        end_ND = hidden_NTD[torch.arange(len(last_N)), last_N]
        return {name: head(end_ND) for name, head in self.heads.items()}


def tagging_loss(logits: Mapping[str, Tensor], labels_NL: Tensor) -> dict[str, Tensor]:
    """Return one cross-entropy per label; columns of ``labels_NL`` follow the logits' order, -100 is ignored."""
    return {
        name: F.cross_entropy(values.float(), labels_NL[:, column])
        for column, (name, values) in enumerate(logits.items())
    }


def autoencoder_losses(vae: AutoencoderKL, images: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """Return named terms for images (N, 3, 64, 64) in -1..1: those of ``reconstruction_losses``, KL, and what
    latents of half the side decode to against images of half the side.

    The last keeps fine scales of the latents from carrying what coarse scales of the image show, which is easier to
    denoise (Skorokhodov et al., 2025, arXiv:2502.14831). Every other image is enough of it.
    """
    posterior = vae.encode(images).latent_dist
    mean, spread = posterior.mean.float(), posterior.std.float()
    noise = torch.randn(mean.shape, generator=generator).to(mean.device)
    kl = 0.5 * (mean.square() + spread.square() - 1 - 2 * spread.log()).mean()
    latents = mean + spread * noise
    error = vae.decode(F.avg_pool2d(latents[::2], 2)).sample.float() - F.avg_pool2d(images[::2], 2)
    shrunk = SHRUNK_WEIGHT * (0.5 * error.abs().mean() + 4.0 * error.square().mean())
    return {**reconstruction_losses(vae, latents, images), "kl": KL_WEIGHT * kl, "shrunk": shrunk}


def reconstruction_losses(vae: AutoencoderKL, latents: Tensor, images: Tensor) -> dict[str, Tensor]:
    """Return named terms of what the decoder makes of ``latents`` (N, C, 16, 16) against the images they stand for."""
    error = vae.decode(latents).sample.float() - images
    # In opponent colours, each scaled to a like spread: otherwise green against purple, which varies least, is learnt last.
    red, green, blue = error.unbind(dim=1)
    opponent = torch.stack([(red + green + blue) / 3, 1.5 * (red - blue), 2 * green - red - blue], dim=1)
    return {
        "absolute": 0.5 * error.abs().mean(),
        "squared": 4.0 * error.square().mean(),
        "coarse": 0.25 * F.avg_pool2d(opponent, 4).abs().mean(),
    }


@torch.no_grad()
def standardise_latents(vae: AutoencoderKL, mean_C: Tensor, spread_C: Tensor) -> None:
    """Give every latent channel, which has this mean and spread, mean zero and spread one; images stay as they are.

    Stable Diffusion's layout knows one factor for all channels; the two 1x1 convolutions around the latents can hold the rest.
    """
    into, out, channels = vae.quant_conv, vae.post_quant_conv, len(mean_C)
    into.weight[:channels] /= spread_C[:, None, None, None]
    into.bias[:channels] = (into.bias[:channels] - mean_C) / spread_C
    into.bias[channels:] -= 2 * spread_C.log()
    out.bias += out.weight[:, :, 0, 0] @ mean_C
    out.weight *= spread_C[None, :, None, None]


def flow_loss(
    denoiser: UNet2DConditionModel,
    latents: Tensor,
    context_NTD: Tensor,
    generator: torch.Generator,
    weights_NHW: Tensor | None = None,
) -> Tensor:
    """Return the mean squared error of the velocity, noise - x, for scaled latents x (N, C, 16, 16), weighted by cell.

    What the network sees is (1 - t) x + t noise (Liu et al., 2023, arXiv:2209.03003). Times are logit-normal (Esser et al., 2024,
    arXiv:2403.03206), moved towards noise, where an image's subject is decided; one in ``UNIFORM`` is uniform, so that
    the first step of sampling, at almost pure noise, is trained too.
    """
    count = len(latents)
    noise = torch.randn(latents.shape, generator=generator)
    times = torch.sigmoid(TIME_SHIFT + torch.randn(count, generator=generator))
    spread = torch.rand(count, generator=generator)
    times = torch.where(torch.arange(count) % UNIFORM == 0, spread, times).to(latents.device)
    noise, mixed = noise.to(latents.device), times[:, None, None, None]
    noisy = (1 - mixed) * latents + mixed * noise
    found = denoiser(noisy, FLOW_STEPS * times, context_NTD, return_dict=False)[0].float()
    error_NHW = (found - (noise - latents)).square().mean(dim=1)
    weights_NHW = torch.ones_like(error_NHW) if weights_NHW is None else weights_NHW
    loss: Tensor = (error_NHW * weights_NHW).sum() / weights_NHW.sum()
    return loss


class MovingAverage:
    """Exponential moving average of parameters, warmed up so that early steps are forgotten soon."""

    def __init__(self, parameters: Iterable[Tensor], decay: float) -> None:
        self.decay = decay
        self.values = [parameter.detach().clone() for parameter in parameters]

    @torch.no_grad()
    def update(self, parameters: Iterable[Tensor], step: int) -> None:
        """Move towards ``parameters`` after ``step`` steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.values, [parameter.detach() for parameter in parameters], 1 - decay)

    @torch.no_grad()
    def assign(self, parameters: Iterable[Tensor]) -> None:
        """Forget the averages for ``parameters``."""
        for parameter, value in zip(parameters, self.values, strict=True):
            value.copy_(parameter)

    @torch.no_grad()
    def copy_to(self, parameters: Iterable[Tensor]) -> None:
        """Write the averages into ``parameters``."""
        for parameter, value in zip(parameters, self.values, strict=True):
            parameter.copy_(value)


def build_pipeline(
    vae: AutoencoderKL, text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer, denoiser: UNet2DConditionModel
) -> StableDiffusionPipeline:
    """Return the parts as the stock pipeline, without a safety checker: it draws cartoons it has seen, nothing else."""
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=denoiser,
        scheduler=sampling_schedule(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def load_pipeline(folder: Path) -> StableDiffusionPipeline:
    """Return an exported folder as the stock class, in float32 and silent."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def export_pipeline(pipeline: StableDiffusionPipeline, folder: Path) -> int:
    """Write ``pipeline`` in half precision as safetensors; return the bytes of weights.

    The text encoder's config says float32: it is what transformers loads a model in, while diffusers loads its own in float32.
    """
    half: Any = pipeline.to(torch.float16)
    half.save_pretrained(folder, safe_serialization=True)
    config = folder / "text_encoder" / "config.json"
    config.write_text(
        json.dumps(json.loads(config.read_text()) | {"dtype": "float32"}, indent=2, sort_keys=True) + "\n"
    )
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
