"""Score images by an exported encoder with a text tower."""

from pathlib import Path

from torch import Tensor
from torch.nn import functional as F

from data_specs.model_identity import ModelIdentity
from models.encoder.augment import MEAN, STD
from models.encoder.exported import load_exported, load_text
from models.scorer.batched_embedding import Preparation
from models.scorer.two_towers import TwoTowers


def encoder_scorer(folder: Path, identity: ModelIdentity, device: str) -> TwoTowers:
    """Embeds images by their cls token, with which the text tower was trained. Raises ContractError for other files."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    backbone, space = load_exported(files).to(device), load_text(files)
    tower, projection_JD = space.tower.to(device), space.projection_JD.to(device)

    def embed_images(pixels_B3RR: Tensor) -> Tensor:
        return F.linear(backbone(pixels_B3RR).cls_ND, projection_JD)

    def embed_texts(texts: list[str]) -> Tensor:
        found: Tensor = tower(space.reader.tokens(texts).to(device), space.reader.end)
        return found

    preparation = Preparation(backbone.shape.image_size, MEAN, STD)
    return TwoTowers(identity, preparation, embed_images, embed_texts, device)
