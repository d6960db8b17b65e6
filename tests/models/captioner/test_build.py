import shutil

import pytest
from safetensors.torch import save_file

from data_specs.errors import SpecError
from data_specs.specs.captions import CaptionsSpec
from models import weights
from models.captioner import build
from models.captioner.build import build_captioner, identify_captioner, notice_of_chat_model, require_captioner
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


@pytest.fixture
def folder(tmp_path):
    """A model's folder as far as it is looked at before work."""
    save_file({}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize("engine", ["vllm", "transformers"])
def test_a_chat_model_that_is_asked_to_continue_texts_is_said_and_a_base_model_is_asked_for_no_chat(folder, engine):
    texts = CaptionsSpec(engine=engine, model=str(folder))
    chats = texts.model_copy(update={"chat": True})
    assert notice_of_chat_model(texts) is None
    with pytest.raises(SpecError, match=r"captions.chat: .* has no chat template.*captions.chat=false"):
        require_captioner(chats)
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    require_captioner(chats)
    require_captioner(texts)
    assert "captions.chat=true asks it in turns" in notice_of_chat_model(texts)
    assert notice_of_chat_model(chats) is None
    assert notice_of_chat_model(CaptionsSpec(engine=engine)) is None, "the model that ships continues texts by intent"


def test_an_edited_chat_template_is_another_model(folder, tmp_path_factory):
    spec = CaptionsSpec(engine="transformers", model=str(folder))
    before = identify_captioner(spec)
    copy = tmp_path_factory.mktemp("other") / folder.name
    shutil.copytree(folder, copy)
    assert identify_captioner(spec.model_copy(update={"model": str(copy)})) == before
    (copy / "chat_template.jinja").write_text("{{ messages }}")
    weights._folder_digest.cache_clear()  # of a process that lives on
    assert identify_captioner(spec.model_copy(update={"model": str(copy)})) != before
