"""Weights that are missing, moved, gated or of another kind are named before work; what is in the cache asks nobody."""

import json
from types import SimpleNamespace

import httpx
import huggingface_hub
import numpy as np
import pytest
from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled, RepositoryNotFoundError, RevisionNotFoundError
from safetensors.numpy import save_file

from data_specs.errors import SpecError
from data_specs.specs.captions import CaptionsSpec
from models.captioner import build as captioner_build
from models.captioner.build import require_captioner
from models.weights import identify, require_reachable


def hub(monkeypatch, answer):
    asked = []

    class Hub:
        def model_info(self, model, *, revision, **_):
            asked.append((model, revision))
            if isinstance(answer, Exception):
                raise answer
            return answer

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    return asked


def http(error):
    return error("no", response=httpx.Response(404, request=httpx.Request("GET", "http://127.0.0.1")))


def info(name="org/model", *files):
    return SimpleNamespace(id=name, siblings=[SimpleNamespace(rfilename=file) for file in files])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (http(RepositoryNotFoundError), "the hub has no 'org/model'"),
        (http(GatedRepoError), "given out on request.*HF_TOKEN"),
        (http(RevisionNotFoundError), "has no revision 'abc' on the hub any more"),
        (OfflineModeIsEnabled("offline mode"), "not in the cache, and the hub cannot be asked .offline mode"),
        (httpx.ConnectError("no route"), "cannot be asked .no route"),
        (type("ConnectError", (Exception,), {})("of another library"), "cannot be asked .of another library"),
        (info("new/model", "model.safetensors"), "has moved to 'new/model'"),
        (info("org/model", "pytorch_model.bin"), "holds no .safetensors at abc"),
    ],
)
def test_what_cannot_be_had_is_refused(monkeypatch, answer, said):
    hub(monkeypatch, answer)
    with pytest.raises(SpecError, match=f"captions.model: .*{said}"):
        require_reachable("org/model", "abc", setting="captions.model")


def test_a_name_that_no_hub_could_know_is_refused_without_asking(monkeypatch):
    with pytest.raises(SpecError, match="neither a folder here nor a hub id"):
        require_reachable("a/b/c/d", "abc", setting="captions.model")


@pytest.fixture
def language_model(tmp_path):
    folder = tmp_path / "llm"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    shards = {f"model-0000{number}-of-00002.safetensors" for number in (1, 2)}
    for name in shards:
        save_file({"a": np.zeros(3)}, folder / name)
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": dict(zip("ab", shards, strict=True))})
    )
    return folder


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda model: (model / "model-00002-of-00002.safetensors").unlink(),
            "model-00002-of-00002.safetensors of .* not there",
        ),
        (
            lambda model: (model / "model-00001-of-00002.safetensors").write_bytes(b"cut"),
            "model-00001-of-.* is cut off",
        ),
        (lambda model: (model / "model.safetensors.index.json").write_text("{}"), "is no index of weights"),
        (lambda model: (model / "config.json").unlink(), "holds no config.json: fetch it whole"),
        (lambda model: (model / "config.json").write_text("{"), "config.json of .* cannot be read as JSON: fetch it"),
        (lambda model: (model / "tokenizer.json").write_text("<html>"), "tokenizer.json of .* cannot be read as JSON"),
        (lambda model: (model / "tokenizer.json").unlink(), r"holds no tokenizer \(tokenizer.json, tokenizer.model"),
    ],
)
@pytest.mark.parametrize("engine", ["vllm", "transformers"])
def test_a_language_model_that_is_not_whole_is_refused_before_work(language_model, spoil, said, engine, monkeypatch):
    monkeypatch.setattr(captioner_build, "find_spec", lambda _: object())
    spec = CaptionsSpec(engine=engine, model=str(language_model))
    require_captioner(spec)
    spoil(language_model)
    with pytest.raises(SpecError, match=f"captions.model: .*{said}"):
        require_captioner(spec)


def test_a_folder_at_home_is_handed_to_engines_by_its_path(language_model, monkeypatch):
    monkeypatch.setenv("HOME", str(language_model.parent))
    assert captioner_build._weights(CaptionsSpec(engine="vllm", model="~/llm")) == str(language_model)


def test_what_is_there_passes(monkeypatch, tmp_path):
    asked = hub(monkeypatch, info("org/model", "config.json", "model.safetensors"))
    require_reachable("org/model", "abc", setting="captions.model")
    assert asked == [("org/model", "abc")]
    require_reachable(str(tmp_path), None, setting="captions.model")  # a folder
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: "/cache/config.json")
    require_reachable("org/model", "abc", setting="captions.model")
    assert len(asked) == 1


def test_a_folder_is_pinned_by_the_bytes_of_its_weights_and_configuration_whatever_it_is_called(tmp_path):
    def revision(name, **files):
        (tmp_path / name).mkdir()
        for file, data in files.items():
            (tmp_path / name / file.replace("_", ".")).write_bytes(data)
        return identify(str(tmp_path / name), None, setting="images.model").revision

    first = revision("first", model_safetensors=b"1", config_json=b"{}")
    assert first.startswith("sha256:") and revision("copy", model_safetensors=b"1", config_json=b"{}") == first
    assert revision("beside", model_safetensors=b"1", config_json=b"{}", notes_md=b"x") == first
    others = [
        revision("weights", model_safetensors=b"2", config_json=b"{}"),
        revision("configuration", model_safetensors=b"1", config_json=b"[]"),
        revision("name", weights_safetensors=b"1", config_json=b"{}"),
    ]
    assert len({first, *others}) == 4
