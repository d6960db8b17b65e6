"""SynCLR's training step as its reference lays the data out, written down plainly, from ready crops to named losses.

Transcribed from a description of that data flow for one process, to be timed beside ours: class labels by position, a mask
cached for the shape of the batch, one student forward over global and one over local crops, a teacher over global crops,
Sinkhorn-Knopp, the moving average parameter by parameter. Its modules bear the names of ours, so that both can begin with the
same weights, and their losses be compared before their times are.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data_specs.specs.encoder import EncoderSpec
from models.encoder.training import Schedules
from models.encoder.vit import SIZES


class ReferenceAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, t, d = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d))  # type: ignore[no-any-return]


class ReferenceBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attention = ReferenceAttention(width, heads)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))  # type: ignore[no-any-return]


class ReferenceBackbone(nn.Module):
    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        width, depth, heads = SIZES[spec.architecture]
        self.side = spec.image_size // spec.patch_size
        self.stem = nn.Conv2d(3, width, spec.patch_size, stride=spec.patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, 1 + self.side**2, width))
        self.blocks = nn.ModuleList(ReferenceBlock(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, pixels: Tensor, masks: Tensor | None = None) -> Tensor:
        x = self.stem(pixels)
        side = x.shape[-1]
        x = x.flatten(2).transpose(1, 2)
        if masks is not None:
            x = torch.where(masks[..., None], self.mask_token, x)
        positions: Tensor = self.positions
        if side != self.side:
            grid = positions[:, 1:].reshape(1, self.side, self.side, -1).permute(0, 3, 1, 2)
            grid = F.interpolate(grid, size=(side, side), mode="bicubic")
            positions = torch.cat([positions[:, :1], grid.flatten(2).transpose(1, 2)], 1)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + positions
        for block in self.blocks:
            x = block(x)
        return self.norm(x)  # type: ignore[no-any-return]


class ReferenceHead(nn.Module):
    """MoCo v3's, with batch norm."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(zip(widths, widths[1:], strict=False)):
            last = i == len(widths) - 2
            layers += [nn.Linear(a, b, bias=False), nn.BatchNorm1d(b, affine=not last)]
            layers += [] if last else [nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)  # type: ignore[no-any-return]


class ReferencePatchHead(nn.Module):
    def __init__(self, width: int, spec: EncoderSpec) -> None:
        super().__init__()
        hidden, bottleneck = spec.patch_head_hidden, spec.patch_head_bottleneck
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, bottleneck)
        )
        self.prototypes = nn.Parameter(torch.zeros(spec.prototypes, bottleneck))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.normalize(self.mlp(x), dim=-1), F.normalize(self.prototypes, dim=-1))


class ReferenceTower(nn.Module):
    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        self.backbone = ReferenceBackbone(spec)
        width = SIZES[spec.architecture][0]
        self.projector = ReferenceHead((width, spec.head_hidden, spec.head_hidden, spec.head_out))
        self.patch_head = ReferencePatchHead(width, spec)


@dataclass(frozen=True, slots=True)
class ReferenceCrops:
    """In the reference's order: image slot, (crop,) caption. Masks belong to the global crops."""

    global_: Tensor
    local: Tensor
    masks: Tensor


class ReferenceObjective(nn.Module):
    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        self.spec = spec
        self.student = ReferenceTower(spec)
        self.predictor = ReferenceHead((spec.head_out, spec.head_hidden, spec.head_out))
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        captions, images, crops = spec.captions_per_step, spec.images_per_caption, spec.local_crops
        labels = torch.arange(captions).repeat(images)
        own = torch.eye(len(labels), dtype=torch.bool)
        self.global_mask = (labels[:, None] == labels[None]).masked_fill(own, False).float()
        self.global_mask /= self.global_mask.sum(1, keepdim=True)
        self.own = torch.where(own, -1e9, 0.0)
        local = (labels.reshape(images, 1, captions).expand(-1, crops, -1).flatten()[:, None] == labels[None]).float()
        self.local_mask = local / local.sum(1, keepdim=True)

    def forward(self, crops: ReferenceCrops, teacher_temperature: float) -> dict[str, Tensor]:
        with torch.no_grad():
            tokens = self.teacher.backbone(crops.global_)
            keys = F.normalize(self.teacher.projector(tokens[:, 0]), dim=-1)
            targets = sinkhorn(self.teacher.patch_head(tokens[:, 1:][crops.masks]), teacher_temperature)
        seen = self.student.backbone(crops.global_, crops.masks)
        queries = F.normalize(self.predictor(self.student.projector(seen[:, 0])), dim=-1)
        narrow = self.student.backbone(crops.local)[:, 0]
        local = F.normalize(self.predictor(self.student.projector(narrow)), dim=-1)
        logits = queries @ keys.T / self.spec.temperature + self.own
        wide = -(self.global_mask * F.log_softmax(logits, 1)).sum(1).mean()
        anyone = -(self.local_mask * F.log_softmax(local @ keys.T / self.spec.temperature, 1)).sum(1).mean()
        log_p = F.log_softmax(self.student.patch_head(seen[:, 1:][crops.masks]) / 0.1, 1)
        of_image = crops.masks.sum(1, keepdim=True).expand_as(crops.masks)[crops.masks]
        patches = (-(targets * log_p).sum(1) / of_image).sum() / (crops.masks.sum(1) > 0).sum()
        return {"contrast_global": wide, "contrast_local": anyone, "ibot": patches}

    @torch.no_grad()
    def update_teacher(self, momentum: float) -> None:
        for kept, new in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            kept.mul_(momentum).add_(new, alpha=1.0 - momentum)


def sinkhorn(logits: Tensor, temperature: float) -> Tensor:
    q = torch.exp(logits / temperature).T
    prototypes, tokens = q.shape
    q /= q.sum()
    for _ in range(3):
        q /= q.sum(1, keepdim=True) * prototypes
        q /= q.sum(0, keepdim=True) * tokens
    return (q * tokens).T


def reference_step(
    reference: ReferenceObjective, optimizer: torch.optim.Optimizer, crops: ReferenceCrops, now: Schedules
) -> None:
    loss = torch.stack(list(reference(crops, now.teacher_temperature).values())).sum()
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    if reference.spec.clip_gradient:
        nn.utils.clip_grad_norm_(reference.parameters(), reference.spec.clip_gradient)
    for group in optimizer.param_groups:
        group["lr"] = now.lr
    optimizer.step()
    reference.update_teacher(now.momentum)
