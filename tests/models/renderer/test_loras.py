"""A LoRA is pinned like the model, changes its images by its scale, and is named in the record."""

import shutil

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from peft import LoraConfig, get_peft_model_state_dict

from data_specs.errors import SpecError
from data_specs.specs.images import ImagesSpec, LoraSpec
from data_specs.specs.run import RunSpec
from flows.runs.resolve import resolve_stages
from models.renderer.build import build_renderer, require_renderer
from models.renderer.protocol import RenderRequest
from support.pipeline_folders import folder, small_unet

REQUESTS = [RenderRequest("a cat", 0), RenderRequest("a cat", 1)]


@pytest.fixture(scope="module")
def lora(tmp_path_factory):
    """Random weights for the attention of the model's U-Net."""
    place = tmp_path_factory.mktemp("lora")
    unet = StableDiffusionPipeline.from_pretrained(folder("sd15")).unet
    unet.add_adapter(LoraConfig(r=4, lora_alpha=4, init_lora_weights=False, target_modules=["to_q", "to_v"]))
    StableDiffusionPipeline.save_lora_weights(place, unet_lora_layers=get_peft_model_state_dict(unet))
    return place


def spec(*loras):
    said = {"model": str(folder("sd15")), "scheduler": None, "steps": 2, "size": 64, "batch_size": 2}
    return ImagesSpec(**said, loras=loras)


def test_it_changes_the_images_by_its_scale_and_is_recorded(lora):
    plain, off, on = (
        build_renderer(spec(*loras))
        for loras in ((), (LoraSpec(model=str(lora), scale=0),), (LoraSpec(model=str(lora)),))
    )
    images = plain.render(REQUESTS)
    assert np.allclose(off.render(REQUESTS), images, atol=1e-4)
    assert not np.allclose(on.render(REQUESTS), images, atol=1e-3)
    [recorded] = on.rendering.loras
    assert (recorded.model.id, recorded.file, recorded.scale) == (lora.name, "pytorch_lora_weights.safetensors", 1)
    assert recorded.model.revision.startswith("sha256:") and plain.rendering.loras == ()


def test_other_bytes_are_another_lineage_and_none_changes_nothing(lora, tmp_path):
    def lineage(*loras):
        return resolve_stages(RunSpec(images=spec(*loras)), str(tmp_path), [])["images"]

    assert "loras" not in lineage().facts and "loras" not in lineage().facts["spec"]
    before = lineage(LoraSpec(model=str(lora)))
    other = shutil.copytree(lora, tmp_path / "lora")
    weights = other / "pytorch_lora_weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    after = lineage(LoraSpec(model=str(other)))
    assert len({lineage().lineage, before.lineage, after.lineage}) == 3
    assert before.facts["loras"][0][1] != after.facts["loras"][0][1]


def test_what_is_not_there_broken_or_made_for_another_model_is_refused(lora, tmp_path):
    with pytest.raises(
        SpecError, match="images.loras: folder .* holds no 'other.safetensors'; name the one that is meant"
    ):
        require_renderer(spec(LoraSpec(model=str(lora), file="other.safetensors")))
    with pytest.raises(SpecError, match="images.loras: 'org/lora' is no folder here; for a hub id, pin its commit"):
        require_renderer(spec(LoraSpec(model="org/lora")))
    (tmp_path / "pytorch_lora_weights.safetensors").write_bytes(b"cut")
    with pytest.raises(
        SpecError, match="images.loras: pytorch_lora_weights.safetensors of .* is cut off: fetch it again"
    ):
        require_renderer(spec(LoraSpec(model=str(tmp_path))))


def test_weights_that_belong_to_another_model_are_refused_when_they_are_loaded(tmp_path):
    torch.manual_seed(0)
    unet = small_unet(cross_attention_dim=64, attention_head_dim=8)
    unet.add_adapter(LoraConfig(r=4, init_lora_weights=False, target_modules=["to_q", "to_v"]))
    StableDiffusionPipeline.save_lora_weights(tmp_path, unet_lora_layers=get_peft_model_state_dict(unet))
    with pytest.raises(SpecError, match="images.loras: .* does not fit the model"):
        build_renderer(spec(LoraSpec(model=str(tmp_path))))


def test_a_folder_below_home_is_found_before_work_and_when_it_is_loaded(lora, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(lora, tmp_path / "lora")
    shutil.copytree(folder("sd15"), tmp_path / "model")
    said = spec(LoraSpec(model="~/lora")).model_copy(update={"model": "~/model"})
    require_renderer(said)
    assert build_renderer(said).rendering.model.id == "model"
