"""A lineage is told by what changes the bytes, and by nothing else."""

import pytest

from data_specs.errors import SpecError
from data_specs.run import CaptionsSpec, RunSpec
from flows.runs.request import Request
from flows.runs.resolve import lineage_knobs, rooms

FAKES = {"captions": {"engine": "fake"}, "images": {"engine": "fake"}}


def lineages(**captions):
    spec = RunSpec.model_validate(FAKES | {"captions": FAKES["captions"] | captions})
    return {name: room.lineage for name, room in rooms(spec, "/nowhere").items()}


def test_a_knob_that_came_later_counts_only_when_it_is_turned():
    assert "backgrounds" not in lineage_knobs(CaptionsSpec())
    assert lineage_knobs(CaptionsSpec(backgrounds="random_place"))["backgrounds"] == "random_place"
    usual, turned = lineages(), lineages(backgrounds="random_place")
    assert lineages(backgrounds="own") == usual
    assert turned["concepts"] == usual["concepts"] and turned["captions"] != usual["captions"]


def test_random_places_without_a_place_are_refused_before_any_work(tmp_path):
    (tmp_path / "names.txt").write_text("fox\n")
    source = {"use": "file", "path": str(tmp_path / "names.txt")}
    turned = FAKES | {"concepts": {"sources": [source]}}
    asked = Request(
        "tiny", root=str(tmp_path), knobs=turned | {"captions": {"engine": "fake", "backgrounds": "random_place"}}
    )
    with pytest.raises(SpecError, match="no place"):
        asked.preflight(asked.resolved())


def test_the_weights_that_look_at_pictures_are_part_of_what_made_them(tmp_path):
    for name, data in (("one", b"1"), ("two", b"2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(data)

    def images(**knobs):
        made = rooms(RunSpec.model_validate(FAKES | {"images": {"engine": "fake"} | knobs}), "/nowhere")
        return made["captions"].lineage, made["images"]

    def by(part, name, **knobs):
        return images(**{part: {"model": str(tmp_path / name)} | knobs})

    written, plain = images()
    assert "scorer" not in plain.facts and "checker" not in plain.facts
    kinds = [
        by("scorer", "one"),
        by("scorer", "two"),
        by("safety", "one", policy="keep"),
        by("safety", "two", policy="keep"),
    ]
    assert len({plain.lineage, *(room.lineage for _, room in kinds)}) == 5
    assert {captions for captions, _ in kinds} == {written}
    assert kinds[0][1].facts["scorer"][0] == "one" and kinds[3][1].facts["checker"][1].startswith("sha256:")
    with pytest.raises(SpecError, match=r"images\.scorer\.model: there is no folder"):
        images(scorer={"model": "/nowhere"})


def test_a_tokenizer_of_ones_own_is_part_of_what_a_text_tower_learned(tmp_path):
    def encoder(said, objective):
        (tmp_path / "tokenizer.json").write_text(said)
        spec = {"encoder": {"objective": objective, "text_tokenizer": str(tmp_path)}}
        return rooms(RunSpec.model_validate(FAKES | spec), "/nowhere")["encoder"].lineage

    assert encoder("one", "clip") != encoder("two", "clip")
    assert encoder("one", "synclr") == encoder("two", "synclr"), "which has no text tower"
