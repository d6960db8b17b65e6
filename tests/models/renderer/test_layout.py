"""What cannot be drawn with is refused before work, in one line that says what is wrong with which file."""

import json
import shutil

import pytest
from diffusers import UNet2DConditionModel

from data_specs.errors import SpecError
from data_specs.specs.images import ImagesSpec
from models import weights as weights_module
from models.renderer import layout
from models.renderer.build import require_renderer
from models.renderer.layout import read_layout
from models.renderer.loading import load_pipeline
from models.weights import identify
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


def index_of_nothing(part, name):
    """Beside whole weights, an index that names shards which are not there."""

    def spoil(model):
        shards = {"weight_map": {"a": f"{name}-00001-of-00002.safetensors", "b": f"{name}-00002-of-00002.safetensors"}}
        (model / part / f"{name}.safetensors.index.json").write_text(json.dumps(shards))

    return spoil


def sharded(model, part="unet", variant=None):
    unet = UNet2DConditionModel.from_pretrained(model / part, variant=variant, use_safetensors=True)
    for path in (model / part).glob("*.safetensors"):
        path.unlink()
    unet.save_pretrained(model / part, variant=variant, max_shard_size="4MB")


def linked(model):
    shutil.move(model / "unet", model.parent / "elsewhere")
    (model / "unet").symlink_to(model.parent / "elsewhere")


def link_to_nothing(model):
    weights = model / "unet" / "diffusion_pytorch_model.safetensors"
    weights.unlink()
    weights.symlink_to(model / "nowhere")


def named(**entries):
    return lambda model: rewrite(model / "model_index.json", lambda told: told.update(entries))


def called_otherwise(model):
    weights = model / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_name("unet.safetensors"))


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
        (
            pickled,
            "part 'unet' of .* holds no diffusion_pytorch_model.safetensors; other names and formats are not read",
        ),
        (called_otherwise, "part 'unet' of .* holds no diffusion_pytorch_model.safetensors; other names and formats"),
        (link_to_nothing, "unet/diffusion_pytorch_model.safetensors of .* is a link to '.*/nowhere', where nothing is"),
        (named(safety_checker=None), "says null for 'safety_checker', which diffusers cannot read; write .null, null."),
        (named(vae=None), "says null for 'vae', which diffusers cannot read"),
        (named(tokenizer=[None, None]), "leaves out 'tokenizer', which StableDiffusionPipeline needs"),
        (
            named(unet=["diffusers", "UNetOfTomorrow"]),
            "names UNetOfTomorrow for 'unet', which diffusers [0-9.]+ does not have: install the version",
        ),
        (
            named(text_encoder=["transformers", "TextModelOfTomorrow"]),
            "names TextModelOfTomorrow for 'text_encoder', which transformers [0-9.]+ does not have",
        ),
        (named(unet=[None, None]), "names neither a unet nor a transformer"),
        (
            cut,
            "vae/diffusion_pytorch_model.safetensors of .* has [0-9]+ bytes where its header says [0-9]+: fetch it again",
        ),
        (
            index_of_nothing("unet", "diffusion_pytorch_model"),
            "unet/diffusion_pytorch_model-00001-of-00002.safetensors of .* is not there",
        ),
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


@pytest.mark.parametrize(
    ("spoil", "variant"),
    [
        (index_of_nothing("text_encoder", "model"), None),  # transformers take the whole file, where there is one
        (linked, None),
        (lambda model: (model / "unet" / "up").symlink_to(model), None),
        (lambda model: (model / "unet" / "LICENSE").write_text("free"), None),
        (named(safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"]), None),
        (named(safety_checker=[None, None], feature_extractor=[None, None]), None),
        (sharded, None),
    ],
    ids=["stale index", "link", "loop", "licence", "checker", "no checker", "shards"],
)
def test_what_diffusers_loads_is_loaded(model, spoil, variant):
    spoil(model)
    spec = ImagesSpec(model=str(model), size=64, scheduler=None)
    require_renderer(spec)
    layout = read_layout(str(model), None)
    assert layout.variant == variant
    assert load_pipeline(str(model), layout, (), spec).unet


@pytest.fixture
def half(tmp_path):
    """Published in fp16 alone, its U-Net in shards; of the plain one there is only the index, as a filter of names leaves it."""
    model = shutil.copytree(folder("sd15", "fp16"), tmp_path / "half")
    sharded(model, variant="fp16")
    index = json.loads((model / "unet" / "diffusion_pytorch_model.safetensors.index.fp16.json").read_text())
    index["weight_map"] = {name: file.replace(".fp16", "") for name, file in index["weight_map"].items()}
    (model / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    return model


def test_shards_of_a_variant_are_loaded_beside_the_index_of_plain_ones(half):
    spec = ImagesSpec(model=str(half), size=64, scheduler=None)
    require_renderer(spec)
    layout = read_layout(str(half), None)
    assert layout.variant == "fp16" and load_pipeline(str(half), layout, (), spec).unet


SECOND = "diffusion_pytorch_model.fp16-00002-of-*.safetensors"
FP16_INDEX = "diffusion_pytorch_model.safetensors.index.fp16.json"


def second(unet):
    return next(unet.glob(SECOND))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda unet: second(unet).unlink(), "unet/diffusion_pytorch_model.fp16-00002-of-.* is not there"),
        (
            lambda unet: second(unet).write_bytes(second(unet).read_bytes()[:-9]),
            "fp16-00002-of-.* bytes where its header",
        ),
        (lambda unet: (unet / FP16_INDEX).unlink(), f"{FP16_INDEX} of .* is not there"),
        (lambda unet: (unet / FP16_INDEX).write_text("[]"), "index.fp16.json of .* is no JSON object"),
        (lambda unet: (unet / "LICENSE").write_text("free"), "diffusers stumbles over unet/LICENSE"),
    ],
    ids=["lacking", "cut", "no index", "no object", "licence"],
)
def test_a_variant_that_is_not_whole_is_refused_before_work(half, spoil, said):
    spoil(half / "unet")
    with pytest.raises(SpecError, match=f"images.model: .*{said}"):
        require_renderer(ImagesSpec(model=str(half), size=64))


def test_weights_behind_a_link_are_part_of_the_identity(model):
    whole = identify(str(model), None, setting="images.model")
    linked(model)
    assert identify(str(model), None, setting="images.model") == whole
    weights = model / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    weights_module._folder_digest.cache_clear()
    assert identify(str(model), None, setting="images.model") != whole


def test_one_file_is_refused_with_how_it_becomes_a_folder(model, tmp_path):
    alone = tmp_path / "checkpoint.safetensors"
    shutil.copy(model / "unet" / "diffusion_pytorch_model.safetensors", alone)
    with pytest.raises(
        SpecError, match="is one file; name a folder: convert it by diffusers, .*from_single_file"
    ) as refused:
        require_renderer(ImagesSpec(model=str(alone)))
    assert str(alone) in str(refused.value)
    inside = model / "model_index.json"
    with pytest.raises(SpecError, match=f"is one file; name a folder: the one that it lies in, '{model}'"):
        require_renderer(ImagesSpec(model=str(inside)))


def test_the_folder_above_a_model_is_refused_with_the_one_that_is_meant(model):
    with pytest.raises(SpecError, match=f"holds no model_index.json; '{model}/?' does"):
        require_renderer(ImagesSpec(model=str(model.parent), size=64))


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
    with pytest.raises(SpecError, match="part 'unet' of 'org/model' holds no diffusion_pytorch_model.safetensors"):
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
