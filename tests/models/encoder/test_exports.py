"""What other programs read of a trained encoder gives what the encoder itself gives."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from transformers import AutoImageProcessor, AutoModel

from data_specs.errors import SpecError
from models.encoder.augment import normalise, to_unit
from models.encoder.hugging_face import hugging_face_files
from models.encoder.onnx import onnx_bytes
from models.encoder.vit import VisionTransformer, VitShape


def backbone(stem: str) -> VisionTransformer:
    torch.manual_seed(0)
    vit = VisionTransformer(VitShape(width=32, depth=2, heads=2, patch=16, image_size=32, stem=stem)).eval()  # type: ignore[arg-type]
    for parameter in vit.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return vit.requires_grad_(False)


def test_transformers_reads_it_as_a_vit_with_equal_outputs_and_prepares_pixels_alike(tmp_path: Path) -> None:
    vit = backbone("patch")
    for name, data in hugging_face_files(vit).items():
        (tmp_path / name).write_bytes(data)
    model, how = AutoModel.from_pretrained(tmp_path, add_pooling_layer=False, output_loading_info=True)
    assert not any(how.values()), how
    pixels = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    prepared = AutoImageProcessor.from_pretrained(tmp_path)(
        list(pixels.permute(0, 2, 3, 1).numpy()), return_tensors="pt"
    )
    ours = normalise(to_unit(pixels))
    assert torch.allclose(prepared["pixel_values"], ours, atol=1e-5)
    theirs = model.eval()(pixel_values=ours).last_hidden_state
    tokens = vit(ours)
    assert torch.allclose(theirs[:, 0], tokens.cls_ND, atol=1e-4)
    assert torch.allclose(theirs[:, 1:], tokens.patches_NPD, atol=1e-4)


def test_a_stem_that_transformers_does_not_have_is_refused_with_the_way_out() -> None:
    with pytest.raises(SpecError, match=r"export to onnx, or train with encoder\.stem=patch"):
        hugging_face_files(backbone("conv"))


@pytest.mark.parametrize("stem", ["patch", "conv"])
def test_an_onnx_model_gives_equal_outputs_for_any_number_of_images(stem: str) -> None:
    vit = backbone(stem)
    model = onnx.load_from_string(onnx_bytes(vit))
    onnx.checker.check_model(model)
    pixels = torch.randn(3, 3, 32, 32)
    cls, patches = ReferenceEvaluator(model).run(None, {"pixels": pixels.numpy()})
    tokens = vit(pixels)
    assert np.allclose(cls, tokens.cls_ND.numpy(), atol=1e-4)
    assert np.allclose(patches, tokens.patches_NPD.numpy(), atol=1e-4)
    assert json.dumps([entry.name for entry in model.graph.input]) == '["pixels"]'
