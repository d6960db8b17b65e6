"""An encoder as files: a trained backbone leaves as safetensors bytes and a config; both enter and the backbone leaves."""

import json
from dataclasses import asdict

import torch
from safetensors.torch import load, save
from torch import nn

from data_specs.errors import ContractError
from models.encoder.augment import MEAN, STD
from models.encoder.objectives import TextPair
from models.encoder.text import FILE
from models.encoder.vit import VisionTransformer, VitShape

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
TEXT_WEIGHTS = "text.safetensors"
TEXT_CONFIG = "text.json"


def export(backbone: VisionTransformer, text: TextPair | None = None) -> dict[str, bytes]:
    """File name -> bytes: the backbone, and the text tower if there is one. The same weights are the same bytes."""
    config = {"format": "synclr-vit", "shape": asdict(backbone.shape), "mean": MEAN, "std": STD}
    files = {WEIGHTS: _weights(backbone), CONFIG: _json(config)}
    if text:
        files |= {
            TEXT_WEIGHTS: _weights(text),
            TEXT_CONFIG: _json({"format": "synclr-text", "shape": asdict(text.tower.shape)}),
        }
        files[FILE] = text.reader.json.encode()
    return files


def _weights(module: nn.Module) -> bytes:
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    return bytes(save(tensors))


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True).encode()


def load_exported(files: dict[str, bytes]) -> VisionTransformer:
    """The backbone in evaluation mode. Raises ContractError for files that are not an exported encoder."""
    try:
        config = json.loads(files[CONFIG])
        backbone = VisionTransformer(VitShape(**config["shape"]))
        backbone.load_state_dict(load(files[WEIGHTS]))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ContractError(f"{WEIGHTS} and {CONFIG} are not an exported encoder: {error}") from error
    return backbone.eval().requires_grad_(False)


def random_backbone(shape: VitShape, seed: int) -> VisionTransformer:
    """The same architecture with its initial weights: what training has to beat."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return VisionTransformer(shape).eval().requires_grad_(False)
