"""Convert a trained backbone to a model folder that `transformers.AutoModel.from_pretrained` reads as a ViT."""

import json
from collections.abc import Iterator

import torch
from safetensors.torch import save
from torch import Tensor, nn

from data_specs.errors import SpecError
from models.encoder.augment import MEAN, STD
from models.encoder.vit import Block, VisionTransformer

BICUBIC = 3
"""Pillow's number, as image processors write it."""


def hugging_face_files(backbone: VisionTransformer) -> dict[str, bytes]:
    """File name -> bytes; its `last_hidden_state` is our class token and patch tokens. Raises SpecError for another stem."""
    shape = backbone.shape
    if not isinstance(backbone.stem, nn.Conv2d):
        raise SpecError(
            f"encoder.stem is {shape.stem!r}, which transformers' ViT does not have: export to onnx, or train with "
            "encoder.stem=patch"
        )
    config = {
        "architectures": ["ViTModel"],
        "model_type": "vit",
        "hidden_size": shape.width,
        "num_hidden_layers": shape.depth,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.mlp_ratio * shape.width,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        "image_size": shape.image_size,
        "patch_size": shape.patch,
        "num_channels": 3,
        "qkv_bias": True,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    processor = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": shape.image_size, "width": shape.image_size},
        "resample": BICUBIC,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": MEAN,
        "image_std": STD,
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in _tensors(backbone, backbone.stem)}
    return {
        "model.safetensors": bytes(save(tensors, {"format": "pt"})),
        "config.json": json.dumps(config, indent=2).encode(),
        "preprocessor_config.json": json.dumps(processor, indent=2).encode(),
    }


def _tensors(backbone: VisionTransformer, stem: nn.Conv2d) -> Iterator[tuple[str, Tensor]]:
    """Under the names that every version of transformers reads."""
    yield "embeddings.cls_token", backbone.cls_token
    yield "embeddings.position_embeddings", backbone.positions
    yield from _both("embeddings.patch_embeddings.projection", stem)
    for number, block in enumerate(backbone.blocks):
        assert isinstance(block, Block)
        layer, attention = f"encoder.layer.{number}", block.attention
        for part, rows in zip(("query", "key", "value"), _thirds(attention.qkv), strict=True):
            yield f"{layer}.attention.attention.{part}.weight", rows[0]
            yield f"{layer}.attention.attention.{part}.bias", rows[1]
        yield from _both(f"{layer}.attention.output.dense", attention.out)
        yield from _both(f"{layer}.layernorm_before", block.norm1)
        yield from _both(f"{layer}.layernorm_after", block.norm2)
        yield from _both(f"{layer}.intermediate.dense", block.fc1)
        yield from _both(f"{layer}.output.dense", block.fc2)
    yield from _both("layernorm", backbone.norm)


def _both(name: str, module: nn.Linear | nn.LayerNorm | nn.Conv2d) -> Iterator[tuple[str, Tensor]]:
    assert module.bias is not None
    yield f"{name}.weight", module.weight
    yield f"{name}.bias", module.bias


def _thirds(qkv: nn.Linear) -> list[tuple[Tensor, Tensor]]:
    return list(zip(torch.chunk(qkv.weight, 3), torch.chunk(qkv.bias, 3), strict=True))
