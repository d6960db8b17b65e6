"""The shipped weights: small, and drawn with by the stock pipeline without a class of ours."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

TINY = Path(__file__).parents[3] / "models" / "renderer" / "tiny"


def test_the_weights_take_at_most_30_megabytes_and_are_safetensors() -> None:
    weights = list(TINY.rglob("*.safetensors"))
    assert len(weights) == 3
    assert sum(path.stat().st_size for path in weights) <= 30_000_000
    assert not [path for path in TINY.rglob("*") if path.suffix in (".bin", ".pt", ".pkl", ".ckpt")]


def test_the_sheet_beside_its_figures_is_one_small_image_of_64_captions() -> None:
    sheet = TINY.parents[2] / "benchmarks" / "tiny_renderer" / "contact_sheet.png"
    assert sheet.stat().st_size < 1_000_000 and Image.open(sheet).size == (16 * 64, 16 * 64)
    assert len(sheet.with_suffix(".txt").read_text().splitlines()) == 64


def test_the_layout_is_stable_diffusions_own() -> None:
    index = json.loads((TINY / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionPipeline"
    parts = {name: index[name][1] for name in ("unet", "vae", "text_encoder", "tokenizer")}
    assert parts == {
        "unet": "UNet2DConditionModel",
        "vae": "AutoencoderKL",
        "text_encoder": "CLIPTextModel",
        "tokenizer": "CLIPTokenizer",
    }


def test_the_code_of_the_card_runs_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """In what the parts' own configs say: no `torch_dtype`, no other argument."""
    code = re.findall(r"```python\n(.*?)```", (TINY / "README.md").read_text(), re.DOTALL)
    assert len(code) == 1
    monkeypatch.chdir(TINY.parents[2])
    *lines, last = code[0].strip().splitlines()
    known: dict[str, Any] = {}
    exec("\n".join(lines), known)
    assert eval(last, known).size == (64, 64)


def test_the_stock_pipeline_draws_and_a_seed_fixes_the_image() -> None:
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(TINY, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)

    def draw() -> bytes:
        generator = torch.Generator().manual_seed(3)
        image = pipeline("A dog on the beach.", num_inference_steps=3, guidance_scale=2.5, generator=generator).images[
            0
        ]
        assert image.size == (64, 64)
        return image.tobytes()

    assert draw() == draw()
