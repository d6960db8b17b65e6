"""What cannot be drawn with is refused before work, in one line that says what is wrong with which file."""

import json
import shutil

import pytest

from data_specs.errors import SpecError
from data_specs.specs.images import ImagesSpec
from models.renderer import layout
from models.renderer.build import require_renderer
from models.renderer.layout import read_layout
from support.pipeline_folders import folder


@pytest.fixture
def model(tmp_path):
    return shutil.copytree(folder("sd15"), tmp_path / "model")


def rewrite(path, change):
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))


def renamed(pipeline):
    return lambda model: rewrite(model / "model_index.json", lambda told: told.update(_class_name=pipeline))


def pickled(model):
    weights = model / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))


def cut(model):
    weights = model / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def not_whole(model):
    told = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (model / "text_encoder" / "model.safetensors.index.json").write_text(json.dumps(told))


def inpainting(model):
    rewrite(model / "unet" / "config.json", lambda told: told.update(in_channels=9))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda model: (model / "model_index.json").unlink(), "holds no model_index.json: it is no diffusers pipeline"),
        (lambda model: (model / "model_index.json").write_text("{"), "model_index.json of .* cannot be read as JSON"),
        (lambda model: shutil.rmtree(model / "vae"), "names 'vae', which is not there: fetch it whole"),
        (lambda model: shutil.rmtree(model / "tokenizer"), "names 'tokenizer', which is not there"),
        (lambda model: shutil.rmtree(model / "scheduler"), "names 'scheduler', which is not there"),
        (pickled, "part 'unet' of .* holds no .safetensors; other formats are not read"),
        (
            cut,
            "vae/diffusion_pytorch_model.safetensors of .* has [0-9]+ bytes where its header says [0-9]+: fetch it again",
        ),
        (not_whole, "text_encoder/model-00001-of-00002.safetensors of .* is not there"),
        (inpainting, "wants an image beside the text"),
        (renamed("StableDiffusionUpscalePipeline"), "StableDiffusionUpscalePipeline is no text-to-image pipeline"),
        (renamed("MadeUpPipeline"), "MadeUpPipeline is no text-to-image pipeline"),
        (renamed(["pipeline", "Own"]), "code that a model brings is not run"),
    ],
)
def test_a_folder_that_is_not_whole_or_of_another_kind_is_refused(model, spoil, said):
    require_renderer(ImagesSpec(model=str(model), size=64))
    spoil(model)
    with pytest.raises(SpecError, match=f"images.model: .*{said}") as refused:
        require_renderer(ImagesSpec(model=str(model), size=64))
    assert "\n" not in str(refused.value)


def test_a_pipeline_of_another_task_draws_from_text_if_its_weights_can(model):
    renamed("StableDiffusionImg2ImgPipeline")(model)
    require_renderer(ImagesSpec(model=str(model), size=64))


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 20, b"\x02" + b"\0" * 7 + b"[]", b"\x0c" + b"\0" * 7 + b'{"a": {"b":1']
)
def test_what_is_no_safetensors_file_is_seen(tmp_path, content):
    from models.weights import damage

    (tmp_path / "model.safetensors").write_bytes(content)
    assert damage(tmp_path / "model.safetensors") in ("is cut off", "is no safetensors file")


def test_of_a_hub_id_the_list_of_files_and_its_configurations_are_enough(monkeypatch, model):
    import huggingface_hub

    names = frozenset(path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_file())
    monkeypatch.setattr(layout, "cached", lambda *_: None)
    monkeypatch.setattr(layout, "listed", lambda *_, **__: names)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda _, name, revision: str(model / name))  # noqa: ARG005
    assert read_layout("org/model", "0" * 40).parts == read_layout(str(model), None).parts
    monkeypatch.setattr(layout, "listed", lambda *_, **__: names - {"unet/diffusion_pytorch_model.safetensors"})
    with pytest.raises(SpecError, match="part 'unet' of 'org/model' holds no .safetensors"):
        read_layout("org/model", "0" * 40)


def test_a_download_that_was_broken_off_is_looked_for_on_the_hub(monkeypatch, model):
    whole = read_layout(str(model), None)
    (model / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    monkeypatch.setattr(layout, "cached", lambda *_: model / "model_index.json")
    asked = []
    monkeypatch.setattr(layout, "listed", lambda *_, **__: asked.append(1) or frozenset())
    with pytest.raises(SpecError):
        read_layout("org/model", "0" * 40)
    assert asked and whole.variant is None
