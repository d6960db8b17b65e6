"""A lineage is told by what changes the bytes, and by nothing else."""

import shutil

import pytest

from data_specs.errors import SpecError
from data_specs.specs.captions import CaptionsSpec
from data_specs.specs.run import RunSpec
from data_specs.stage import STAGES
from flows.runs.planning import plan_run
from flows.runs.request import Request
from flows.runs.resolve import lineage_settings, resolve_stages
from tasks.captions.prompt_files import CHAT, SETS
from tasks.concepts.ingest import table_of

FAKES = {"captions": {"engine": "fake"}, "images": {"engine": "fake"}}


def stages(spec, root):
    return resolve_stages(spec, root, table_of(spec.concepts))


def lineages(**captions):
    spec = RunSpec.model_validate(FAKES | {"captions": FAKES["captions"] | captions})
    return {name: stage.lineage for name, stage in stages(spec, "/nowhere").items()}


def test_a_setting_that_came_later_counts_only_when_it_is_set():
    assert "backgrounds" not in lineage_settings(CaptionsSpec())
    assert lineage_settings(CaptionsSpec(backgrounds="random_place"))["backgrounds"] == "random_place"
    usual, changed = lineages(), lineages(backgrounds="random_place")
    assert lineages(backgrounds="own") == usual
    assert changed["concepts"] == usual["concepts"] and changed["captions"] != usual["captions"]


def test_chat_and_what_chat_models_are_told_count_where_chats_are_asked_for(tmp_path):
    assert "chat" not in lineage_settings(CaptionsSpec())
    shutil.copytree(SETS / "small", tmp_path, dirs_exist_ok=True)
    texts, chats = lineages(prompts=str(tmp_path)), lineages(prompts=str(tmp_path), chat=True)
    assert chats["concepts"] == texts["concepts"] and chats["captions"] != texts["captions"]
    (tmp_path / CHAT).write_text("system: Answer.")
    assert lineages(prompts=str(tmp_path)) == texts
    assert lineages(prompts=str(tmp_path), chat=True)["captions"] not in (chats["captions"], texts["captions"])
    (tmp_path / CHAT).unlink()
    with pytest.raises(SpecError, match=f"captions.chat: .* has no {CHAT}"):
        lineages(prompts=str(tmp_path), chat=True)


@pytest.mark.parametrize(
    ("settings", "first"),
    [
        ({"seed": 1}, "captions"),
        ({"concepts": {"kinds": {"object": 0.5, "place": 0.5}}}, "concepts"),
        ({"captions": {"engine": "fake", "min_words": 4}}, "captions"),
        ({"images": {"engine": "fake", "quality": 90}}, "images"),
        ({"encoder": {"lr": 0.1}}, "encoder"),
        ({"embeddings": {"copies": 3}}, "embeddings"),
        ({"scores": {"knn_k": 3}}, "scores"),
    ],
)
def test_what_changes_a_stage_changes_the_lineage_of_all_after_it_and_of_none_before(settings, first):
    def lineages_with(changed):
        found = stages(RunSpec.model_validate(FAKES | changed), "/nowhere")
        return [found[name].lineage for name in STAGES]

    differ = [one != other for one, other in zip(lineages_with({}), lineages_with(settings), strict=True)]
    assert differ == [STAGES.index(name) >= STAGES.index(first) for name in STAGES]


def test_a_run_that_grows_makes_anew_only_what_sees_all_of_it():
    usual, grown = lineages(), lineages(total=4096)
    assert [name for name in STAGES if usual[name] != grown[name]] == ["encoder", "embeddings", "scores"]


def test_random_places_without_a_place_are_refused_before_any_work(tmp_path):
    (tmp_path / "names.txt").write_text("fox\n")
    source = {"use": "file", "path": str(tmp_path / "names.txt")}
    changed = FAKES | {"concepts": {"sources": [source]}}
    random_place = {"captions": {"engine": "fake", "backgrounds": "random_place"}}
    with pytest.raises(SpecError, match="no place"):
        plan_run(Request("tiny", root=str(tmp_path), settings=changed | random_place), "me")


def test_the_weights_that_look_at_images_are_part_of_what_made_them(tmp_path):
    for name, data in (("one", b"1"), ("two", b"2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(data)

    def images(**settings):
        made = stages(RunSpec.model_validate(FAKES | {"images": {"engine": "fake"} | settings}), "/nowhere")
        return made["captions"].lineage, made["images"]

    def by(part, name, **settings):
        return images(**{part: {"model": str(tmp_path / name)} | settings})

    written, plain = images()
    assert "scorer" not in plain.facts and "checker" not in plain.facts
    kinds = [
        by("scorer", "one"),
        by("scorer", "two"),
        by("safety", "one", policy="keep"),
        by("safety", "two", policy="keep"),
    ]
    assert len({plain.lineage, *(stage.lineage for _, stage in kinds)}) == 5
    assert {captions for captions, _ in kinds} == {written}
    assert kinds[0][1].facts["scorer"][0] == "one" and kinds[3][1].facts["checker"][1].startswith("sha256:")
    with pytest.raises(SpecError, match=r"images\.scorer\.model: there is no folder"):
        images(scorer={"model": "/nowhere"})


def test_a_tokenizer_of_ones_own_is_part_of_what_a_text_tower_learned(tmp_path):
    def encoder(said, objective):
        (tmp_path / "tokenizer.json").write_text(said)
        spec = {"encoder": {"objective": objective, "text_tokenizer": str(tmp_path)}}
        return stages(RunSpec.model_validate(FAKES | spec), "/nowhere")["encoder"].lineage

    assert encoder("one", "clip") != encoder("two", "clip")
    assert encoder("one", "synclr") == encoder("two", "synclr"), "which has no text tower"
