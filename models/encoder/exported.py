"""An encoder as files: a trained backbone leaves as safetensors bytes and a config; both enter and the backbone leaves."""

import json
from dataclasses import asdict

import torch
from safetensors.torch import load, save

from data_specs.errors import ContractError
from models.encoder.augment import MEAN, STD
from models.encoder.vit import VisionTransformer, VitShape

WEIGHTS = "model.safetensors"
CONFIG = "config.json"


def export(backbone: VisionTransformer) -> dict[str, bytes]:
    """File name -> bytes. The same weights are the same bytes."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in backbone.state_dict().items()}
    config = {"format": "synclr-vit", "shape": asdict(backbone.shape), "mean": MEAN, "std": STD}
    return {WEIGHTS: save(tensors), CONFIG: json.dumps(config, indent=2, sort_keys=True).encode()}


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
