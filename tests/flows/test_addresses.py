"""A lineage is told by what changes the bytes, and by nothing else."""

import pytest

from data_specs.errors import SpecError
from data_specs.run import CaptionsSpec, RunSpec
from flows.addresses import lineage_knobs, rooms
from flows.request import Request

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
