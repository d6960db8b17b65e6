import pytest

from data_specs.errors import SpecError
from data_specs.specs.captions import CaptionsSpec
from models.captioner import build
from models.captioner.build import build_captioner, identify_captioner, require_captioner
from models.captioner.smollm2 import cache_folder


def test_a_folder_that_is_not_there_is_refused_before_any_work():
    with pytest.raises(SpecError, match="/no/such/folder"):
        build_captioner(CaptionsSpec(model="/no/such/folder"))


def test_a_hub_id_must_be_pinned():
    for moves in (None, "main", "abc"):
        with pytest.raises(SpecError, match="revision=<40 hex digits>"):
            identify_captioner(CaptionsSpec(model="some/model", revision=moves))
    assert identify_captioner(CaptionsSpec(model="some/model", revision="a" * 40)).revision == "a" * 40


def test_the_embedded_model_is_pinned_by_its_bytes():
    identity = identify_captioner(CaptionsSpec())
    assert identity.id == "smollm2-135m" and identity.revision.startswith("sha256:b179c9523d0e")


def test_the_cache_goes_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("SYNCLR_CACHE", raising=False)
    assert cache_folder() == tmp_path / "synclr"
    monkeypatch.setenv("SYNCLR_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


@pytest.mark.parametrize("engine", ["vllm", "transformers"])
def test_an_engine_that_is_not_installed_is_said_before_work(engine, monkeypatch):
    require_captioner(CaptionsSpec(engine=engine))
    monkeypatch.setattr(build, "find_spec", {}.get)
    with pytest.raises(SpecError, match=f"captions.engine: {engine} is not installed"):
        require_captioner(CaptionsSpec(engine=engine))
