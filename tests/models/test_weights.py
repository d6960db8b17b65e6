"""Weights that are missing, moved, gated or of another kind are named before work; what is in the cache asks nobody."""

from types import SimpleNamespace

import httpx
import huggingface_hub
import pytest
from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled, RepositoryNotFoundError, RevisionNotFoundError

from data_specs.errors import SpecError
from models.weights import require_reachable


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


def test_what_is_there_passes(monkeypatch, tmp_path):
    asked = hub(monkeypatch, info("org/model", "config.json", "model.safetensors"))
    require_reachable("org/model", "abc", setting="captions.model")
    assert asked == [("org/model", "abc")]
    require_reachable(str(tmp_path), None, setting="captions.model")  # a folder
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: "/cache/config.json")
    require_reachable("org/model", "abc", setting="captions.model")
    assert len(asked) == 1
