"""Tiny random models in the layouts of real ones, built in a second."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from data_specs.specs.encoder import EncoderSpec
from models.encoder.exported import export
from models.encoder.objectives import Objective
from models.renderer.build import TINY

MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
VISION = TOWER | {"image_size": 32, "patch_size": 8, "projection_dim": 16}


def preprocessor(folder: Path) -> None:
    """As openai/clip-vit-large-patch14 has it, only smaller."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"feature_extractor_type": "CLIPFeatureExtractor", "do_resize": True, "size": 32, "resample": 3}
    told |= {"do_center_crop": True, "crop_size": 32, "do_normalize": True, "image_mean": MEAN, "image_std": STD}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory) -> Path:
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("clip")
    shutil.copytree(TINY / "tokenizer", folder, dirs_exist_ok=True)
    words = json.loads((TINY / "text_encoder" / "config.json").read_text())
    text = TOWER | {"max_position_embeddings": 32, "vocab_size": words["vocab_size"], "projection_dim": 16}
    marks = {name: words[name] for name in ("bos_token_id", "eos_token_id")}
    config = CLIPConfig(text_config=text | marks, vision_config=VISION, projection_dim=16, initializer_factor=4.0)
    CLIPModel(config).save_pretrained(folder)
    preprocessor(folder)
    return folder


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("encoder")
    spec = EncoderSpec(objective="clip", text_width=32, text_depth=1, text_heads=2, text_out=16, image_size=32)
    objective = Objective(spec, 3).eval()
    assert objective.text is not None
    for name, data in export(objective.exported, objective.text).items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="session")
def checker_folder(tmp_path_factory) -> Path:
    """A safety checker of its own class, random; each concept lies near one in twenty images."""
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checker")
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=VISION, projection_dim=16)).eval()
    noise = torch.rand(200, 3, 32, 32) * torch.rand(200, 3, 1, 1)
    with torch.no_grad():
        for weights in (*checker.vision_model.parameters(), checker.visual_projection.weight):
            weights.normal_(std=0.3)
        seen = checker.visual_projection(checker.vision_model((noise - 0.45) / 0.27)[1])
        for concepts, thresholds, share in (
            (checker.concept_embeds, checker.concept_embeds_weights, 0.95),
            (checker.special_care_embeds, checker.special_care_embeds_weights, 0.9),
        ):
            concepts.normal_()
            cosines = torch.cosine_similarity(seen[:, None], concepts[None], dim=2)
            thresholds.copy_(cosines.quantile(share, dim=0))
    checker.save_pretrained(folder)
    preprocessor(folder)
    return folder
