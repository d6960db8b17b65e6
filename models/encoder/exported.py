"""Write a trained encoder as safetensors and JSON files, and load it from them."""

import json
from dataclasses import asdict, dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from data_specs.errors import ContractError, SpecError
from data_specs.json_text import parse_json
from models.encoder.augment import MEAN, STD
from models.encoder.objectives import TextPair
from models.encoder.text import Reader, TextShape, TextTower
from models.encoder.tokenizer import FILE
from models.encoder.vit import VisionTransformer, VitShape

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
TEXT_WEIGHTS = "text.safetensors"
TEXT_CONFIG = "text.json"
UNREADABLE = (KeyError, TypeError, ValueError, RuntimeError, SafetensorError)
"""What loading raises for files that are no exported model."""


def export(backbone: VisionTransformer, text: TextPair | None = None) -> dict[str, bytes]:
    """Export the backbone, and the text tower if there is one, as file name -> bytes. The same weights give the same bytes."""
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
    """Load the backbone in evaluation mode. Raises ContractError for files that are not an exported encoder."""
    try:
        config = parse_json(files[CONFIG])
        backbone = VisionTransformer(VitShape(**config["shape"]))
        backbone.load_state_dict(load(files[WEIGHTS]))
    except UNREADABLE as error:
        raise ContractError(f"{WEIGHTS} and {CONFIG} are not an exported encoder: {error}") from error
    return backbone.eval().requires_grad_(False)


@dataclass(frozen=True, slots=True)
class JointSpace:
    """What brings captions and cls tokens [N, D] into one space [N, J]: a text tower, and `projection_JD` for images."""

    reader: Reader
    tower: TextTower
    projection_JD: Tensor


def load_text(files: dict[str, bytes]) -> JointSpace:
    """Load the text tower in evaluation mode. Raises ContractError for files that hold none."""
    try:
        shape = TextShape(**parse_json(files[TEXT_CONFIG])["shape"])
        tensors = load(files[TEXT_WEIGHTS])
        tower = TextTower(shape)
        named = {name.removeprefix("tower."): tensor for name, tensor in tensors.items() if name.startswith("tower.")}
        tower.load_state_dict(named)
        reader = Reader(files[FILE].decode("utf-8"), shape.context)
        return JointSpace(reader, tower.eval().requires_grad_(False), tensors["projection.weight"])
    except (*UNREADABLE, SpecError) as error:
        raise ContractError(
            f"{TEXT_WEIGHTS}, {TEXT_CONFIG} and {FILE} are not an exported text tower: {error}"
        ) from error


def random_backbone(shape: VitShape, seed: int) -> VisionTransformer:
    """Build the same architecture with fresh weights: the baseline that training has to beat."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return VisionTransformer(shape).eval().requires_grad_(False)
