"""A plain pre-norm Vision Transformer, from pixels to final-norm class and patch tokens.

Legend: N images, P patches, D width, H heads. SynCLR section 4.2 and its reference: biased qkv, GELU, LayerNorm
eps 1e-6, learnable absolute positions, no LayerScale, no SwiGLU.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data_specs.specs.encoder import EncoderSpec
from models.encoder.draws import Draws

Stem = Literal["patch", "conv"]


@dataclass(frozen=True, slots=True)
class VitShape:
    """Everything needed to build a ViT with empty weights; it is also what an exported encoder's config.json says."""

    width: int
    depth: int
    heads: int
    patch: int
    image_size: int
    stem: Stem = "patch"
    mlp_ratio: int = 4


# Width, depth, heads. `vit_tiny` is ours, for 64-pixel images on a CPU; the others are the ViT paper's.
SIZES: dict[str, tuple[int, int, int]] = {
    "vit_tiny": (128, 4, 4),
    "vit_small": (384, 12, 6),
    "vit_base": (768, 12, 12),
    "vit_large": (1024, 24, 16),
}


def shape_of(spec: EncoderSpec) -> VitShape:
    width, depth, heads = SIZES[spec.architecture]
    return VitShape(
        width=width, depth=depth, heads=heads, patch=spec.patch_size, image_size=spec.image_size, stem=spec.stem
    )


@dataclass(frozen=True, slots=True)
class Tokens:
    """Final-norm tokens of N images."""

    cls_ND: Tensor
    patches_NPD: Tensor


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, *, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens_NTD: Tensor) -> Tensor:
        images, count, width = tokens_NTD.shape
        qkv = self.qkv(tokens_NTD).view(images, count, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed_NHTd = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return cast(Tensor, self.out(mixed_NHTd.transpose(1, 2).reshape(images, count, width)))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, mlp_ratio: int = 4, *, causal: bool = False) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads, causal=causal)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = nn.Linear(width, mlp_ratio * width)
        self.fc2 = nn.Linear(mlp_ratio * width, width)

    def forward(self, tokens_NTD: Tensor, factors_2N: Tensor | None = None) -> Tensor:
        """The factors, of `VisionTransformer.survival`, are the two branches'."""
        mixed_NTD = self.attention(self.norm1(tokens_NTD))
        tokens_NTD = tokens_NTD + (mixed_NTD if factors_2N is None else scaled(mixed_NTD, factors_2N[0]))
        thought_NTD = self.fc2(F.gelu(self.fc1(self.norm2(tokens_NTD))))
        return tokens_NTD + (thought_NTD if factors_2N is None else scaled(thought_NTD, factors_2N[1]))


def scaled(branch_NTD: Tensor, factor_N: Tensor) -> Tensor:
    return branch_NTD * factor_N.to(branch_NTD.dtype)[:, None, None]


class ConvStem(nn.Module):
    """Stride-2 3x3 convolutions instead of one large patch projection ("Early convolutions", arXiv 2106.14881).

    On few small images it learns edges and parts long before attention does. Neighbouring patches overlap by the
    receptive field, so a masked patch is hinted at by its neighbours: the masked task is a little easier, not void.
    """

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        halvings = patch.bit_length() - 1
        if 2**halvings != patch:
            raise ValueError(f"a convolutional stem halves the image: patch must be a power of two, not {patch}")
        widths = [3, *(width // 2 ** (halvings - 1 - i) for i in range(halvings))]
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in zip(widths[:-1], widths[1:], strict=True)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(1, b) for b in widths[1:-1])

    def forward(self, pixels_N3HW: Tensor) -> Tensor:
        with torch.autocast(
            pixels_N3HW.device.type, enabled=False
        ):  # CPUs convolve backwards in bfloat16 10 times slower
            return self.convolve(pixels_N3HW)

    def convolve(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=False):
            x = F.gelu(norm(conv(x)))
        return cast(Tensor, self.convs[-1](x))


class VisionTransformer(nn.Module):
    def __init__(self, shape: VitShape, drop_path: float = 0.0) -> None:
        """`drop_path` rises linearly over the blocks from 0 to the given rate."""
        super().__init__()
        if shape.image_size % shape.patch:
            raise ValueError(f"image size {shape.image_size} is no multiple of patch {shape.patch}")
        self.shape = shape
        side = shape.image_size // shape.patch
        stems: dict[Stem, Callable[[], nn.Module]] = {
            "patch": lambda: nn.Conv2d(3, shape.width, shape.patch, stride=shape.patch),
            "conv": lambda: ConvStem(shape.width, shape.patch),
        }
        self.stem = stems[shape.stem]()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        self.mask_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        self.positions = nn.Parameter(torch.zeros(1, 1 + side * side, shape.width))
        self.drop_path = drop_path
        self.blocks = nn.ModuleList(Block(shape.width, shape.heads, shape.mlp_ratio) for _ in range(shape.depth))
        self.norm = nn.LayerNorm(shape.width, eps=1e-6)
        self.initialise()

    def initialise(self) -> None:
        nn.init.normal_(self.cls_token, std=1e-6)
        nn.init.normal_(self.mask_token, std=0.02)
        nn.init.trunc_normal_(self.positions, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def survival(self, images: int, draws: Draws | None, device: torch.device) -> list[Tensor | None]:
        """Stochastic depth, a block each [2, N]: 0 where an image's branch is dropped, 1 / (1 - rate) elsewhere.

        The rate rises linearly over the blocks. None where nothing is dropped: the first block, evaluation, no draws. Drawn
        before the blocks run, so that torch.compile meets no generator.
        """
        factors: list[Tensor | None] = []
        for block in range(self.shape.depth):
            keep = 1.0 - self.drop_path * block / max(1, self.shape.depth - 1)
            if draws is None or not self.training or keep == 1.0:
                factors.append(None)
            else:
                drawn_2N = torch.stack([draws.rand(images) for _ in range(2)])
                factors.append(((drawn_2N < keep) / keep).to(device))
        return factors

    def forward(
        self, pixels_N3HW: Tensor, masks_NP: Tensor | None = None, survival: list[Tensor | None] | None = None
    ) -> Tokens:
        """Images may be of any size that the patch divides. Masked patches become the mask token before positions are added."""
        return self.last_blocks(pixels_N3HW, 1, masks_NP, survival)[0]

    def last_blocks(
        self,
        pixels_N3HW: Tensor,
        count: int,
        masks_NP: Tensor | None = None,
        survival: list[Tensor | None] | None = None,
    ) -> list[Tokens]:
        """The tokens after each of the last `count` blocks (all, if there are fewer), each through the final norm.

        DINO's released linear evaluation reads four of its small ViTs (`n_last_blocks`).
        """
        maps_NDhw = self.stem(pixels_N3HW)
        rows, columns = maps_NDhw.shape[-2:]
        patches_NPD = maps_NDhw.flatten(2).transpose(1, 2)
        if masks_NP is not None:
            patches_NPD = torch.where(masks_NP[..., None], self.mask_token.to(patches_NPD.dtype), patches_NPD)
        positions_1TD = self.positions_for(rows, columns)
        cls_N1D = (self.cls_token + positions_1TD[:, :1]).expand(patches_NPD.shape[0], -1, -1)
        tokens_NTD = torch.cat([cls_N1D.to(patches_NPD.dtype), patches_NPD + positions_1TD[:, 1:]], dim=1)
        found = []
        for number, block in enumerate(self.blocks):
            tokens_NTD = block(tokens_NTD, survival[number] if survival else None)
            if number >= len(self.blocks) - count:
                normed_NTD = self.norm(tokens_NTD)
                found.append(Tokens(normed_NTD[:, 0], normed_NTD[:, 1:]))
        return found

    def positions_for(self, rows: int, columns: int) -> Tensor:
        """Position embeddings for a grid of rows x columns, bicubically resampled from the trained square grid."""
        side = self.shape.image_size // self.shape.patch
        if (rows, columns) == (side, side):
            return self.positions
        grid_1Dhw = self.positions[:, 1:].transpose(1, 2).reshape(1, -1, side, side)
        resampled = F.interpolate(grid_1Dhw, size=(rows, columns), mode="bicubic", align_corners=False)
        return torch.cat([self.positions[:, :1], resampled.flatten(2).transpose(1, 2)], dim=1)


def vit_of(spec: EncoderSpec) -> VisionTransformer:
    """The student's backbone."""
    return VisionTransformer(shape_of(spec), spec.drop_path)
